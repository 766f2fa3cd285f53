"""The store's atomic steps about pictures, evidence and what reviews keep. KEYS and ARGV are listed above each.

A room is an order (a sorted set of names), sizes (a hash; '' holds the sum) and what the keys of its things begin
with. Those whose time is over are forgotten, and then the oldest go until there is room. Where Redis let the order go
alone, the sizes say nothing, and go too. What is new is written first: a Redis that is full refuses a script's first
write if that needs memory, and looks at no later one.
"""

_ROOM = """
local function forget(order, sizes, name)
  redis.call('ZREM', order, name)
  local size = redis.call('HGET', sizes, name)
  if size then
    redis.call('HDEL', sizes, name)
    redis.call('HINCRBY', sizes, '', 0 - size)
  end
end
local function held(sizes) return tonumber(redis.call('HGET', sizes, '') or '0') end
local function oldest(order) return redis.call('ZRANGE', order, 0, 0)[1] end
local function make_room(order, sizes, prefix, size, budget)
  local first = oldest(order)
  while first and redis.call('EXISTS', prefix .. first) == 0 do
    forget(order, sizes, first)
    first = oldest(order)
  end
  local dropped = 0
  while held(sizes) + size > budget do
    first = oldest(order)
    if not first then
      redis.call('DEL', sizes)
      break
    end
    if redis.call('DEL', prefix .. first) == 1 then dropped = dropped + 1 end
    forget(order, sizes, first)
  end
  return dropped
end
local function enter(order, sizes, name, size)
  local last = redis.call('ZRANGE', order, -1, -1, 'WITHSCORES')[2]
  redis.call('ZADD', order, tonumber(last or '0') + 1, name)
  redis.call('HSET', sizes, name, size)
  redis.call('HINCRBY', sizes, '', size)
end
"""

# KEYS: order, sizes, counters.  ARGV: what the keys of the room begin with, the picture's name, the picture, time to
# live in s, how many bytes the room may hold.  A picture that never has room is not kept, and takes no other's.
# Returns how many went for room, the picture itself included.
PUT_PICTURE = (
    _ROOM
    + """
local size, budget, dropped = string.len(ARGV[3]), tonumber(ARGV[5]), 1
if size <= budget then
  redis.call('SET', ARGV[1] .. ARGV[2], ARGV[3], 'EX', ARGV[4])
else
  redis.call('DEL', ARGV[1] .. ARGV[2])
end
forget(KEYS[1], KEYS[2], ARGV[2])
if size <= budget then
  dropped = make_room(KEYS[1], KEYS[2], ARGV[1], size, budget)
  enter(KEYS[1], KEYS[2], ARGV[2], size)
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
if dropped > 0 then redis.call('HINCRBY', KEYS[3], 'pictures_dropped', dropped) end
return dropped
"""
)

_PARTS = """
local function is_of(key, stamp)
  local cover = redis.call('HGET', key, '')
  return cover and string.find(cover, stamp, 1, true) ~= nil
end
"""
"""Part numbers come again: whether a part's evidence is that of the part which was captured at a stamp's time."""

# KEYS: order, sizes, counters, the part's evidence, its exhibit, order and sizes of exhibits, parts whose evidence is
# awaited.  ARGV: what the keys of the room begin with, the part, time to live in s, how many bytes the room may hold,
# cover, camera, the camera's evidence, the part's stamp, how many bytes exhibits may hold, '1' to write it in the place
# of what is kept of the camera or '0' to leave that.  What a review has kept grows where it lies, beyond its room if
# need be.  What is there of an older part of that name makes way where it expires, and is not touched where it is kept.
# Returns 1 if evidence of the camera is kept.
PUT_EVIDENCE = (
    _ROOM
    + _PARTS
    + """
local name, stamp = 'evidence:' .. ARGV[2], ARGV[8]
local exhibited, known = is_of(KEYS[5], stamp), is_of(KEYS[4], stamp)
local place = exhibited and KEYS[5] or KEYS[4]
local size = string.len(ARGV[5]) + string.len(ARGV[7])
if exhibited or known then
  if ARGV[10] == '0' and redis.call('HEXISTS', place, ARGV[6]) == 1 then return 1 end
  size = size - redis.call('HSTRLEN', place, '') - redis.call('HSTRLEN', place, ARGV[6])
end
if exhibited then
  redis.call('HSET', KEYS[5], '', ARGV[5], ARGV[6], ARGV[7])
  redis.call('HINCRBY', KEYS[7], ARGV[2], size)
  redis.call('HINCRBY', KEYS[7], '', size)
  return 1
end
if known then size = size + tonumber(redis.call('HGET', KEYS[2], name) or '0') end
local awaited = redis.call('HGET', KEYS[8], ARGV[2]) == stamp and redis.call('EXISTS', KEYS[5]) == 0
if awaited and held(KEYS[7]) + size <= tonumber(ARGV[9]) then
  if known then
    redis.call('HSET', KEYS[4], '', ARGV[5], ARGV[6], ARGV[7])
    forget(KEYS[1], KEYS[2], name)
    redis.call('RENAME', KEYS[4], KEYS[5])
    redis.call('PERSIST', KEYS[5])
  else
    redis.call('HSET', KEYS[5], '', ARGV[5], ARGV[6], ARGV[7])
  end
  enter(KEYS[6], KEYS[7], ARGV[2], size)
  redis.call('HDEL', KEYS[8], ARGV[2])
  return 1
end
local budget, kept, dropped = tonumber(ARGV[4]), 0, 1
if size <= budget then
  local older = known and {} or redis.call('HKEYS', KEYS[4])
  redis.call('HSET', KEYS[4], '', ARGV[5], ARGV[6], ARGV[7])
  for _, field in ipairs(older) do
    if field ~= '' and field ~= ARGV[6] then redis.call('HDEL', KEYS[4], field) end
  end
  forget(KEYS[1], KEYS[2], name)
  kept, dropped = 1, make_room(KEYS[1], KEYS[2], ARGV[1], size, budget)
  redis.call('EXPIRE', KEYS[4], ARGV[3])
  enter(KEYS[1], KEYS[2], name, size)
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[3])
if dropped > 0 then redis.call('HINCRBY', KEYS[3], 'pictures_dropped', dropped) end
return kept
"""
)

# KEYS: cases, steps stream, the part's evidence, its exhibit, order, sizes, order and sizes of exhibits, counters,
# parts whose evidence is awaited.  ARGV: the case's name, case, the case that must stand or '', step, stream length,
# how many cases there may be, '1' to keep the evidence on or '0' to let it go, how many bytes exhibits may hold, what
# the keys of the room begin with, time to live in s, how many bytes the room may hold, the part's stamp.
# Evidence of another part of that name is left alone; what has no evidence yet awaits it.
# Returns 1 where evidence is kept on, 0 where there is none to keep, 2 where there is no room for it, -1 if another
# case stands, -2 if there are too many.
PUT_CASE = (
    _ROOM
    + _PARTS
    + """
local stood = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if stood ~= ARGV[3] then return -1 end
if stood == '' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then return -2 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], '*', 'step', ARGV[4])
local name = 'evidence:' .. ARGV[1]
local kept = is_of(KEYS[4], ARGV[12])
if ARGV[7] == '1' and not kept then
  redis.call('HSET', KEYS[10], ARGV[1], ARGV[12])
  if not is_of(KEYS[3], ARGV[12]) then return 0 end
  local size = tonumber(redis.call('HGET', KEYS[6], name) or '0')
  local taken = redis.call('EXISTS', KEYS[4]) == 1
  if taken or held(KEYS[8]) + size > tonumber(ARGV[8]) then return 2 end
  forget(KEYS[5], KEYS[6], name)
  redis.call('RENAME', KEYS[3], KEYS[4])
  redis.call('PERSIST', KEYS[4])
  enter(KEYS[7], KEYS[8], ARGV[1], size)
  kept = true
end
redis.call('HDEL', KEYS[10], ARGV[1])
if ARGV[7] == '1' then return 1 end
if not kept then return 0 end
local size, budget, dropped = tonumber(redis.call('HGET', KEYS[8], ARGV[1]) or '0'), tonumber(ARGV[11]), 1
forget(KEYS[7], KEYS[8], ARGV[1])
if size > budget or redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('DEL', KEYS[4])
else
  dropped = make_room(KEYS[5], KEYS[6], ARGV[9], size, budget)
  redis.call('RENAME', KEYS[4], KEYS[3])
  redis.call('EXPIRE', KEYS[3], ARGV[10])
  enter(KEYS[5], KEYS[6], name, size)
  redis.call('EXPIRE', KEYS[5], ARGV[10])
  redis.call('EXPIRE', KEYS[6], ARGV[10])
end
if dropped > 0 then redis.call('HINCRBY', KEYS[9], 'pictures_dropped', dropped) end
return 0
"""
)

# KEYS: cases, parts whose evidence is awaited.  ARGV: the case's name, the case that must stand.
# Returns 1 if it stood.
DROP_CASE = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
return 1
"""

# KEYS: cases, the part's exhibit, the same under the name that it is to have, order and sizes of exhibits, parts whose
# evidence is awaited.  ARGV: the case's name, the name that it is to have, the case that must stand, the case as it is
# to be, the part's stamp.  With both names alike only the case changes.
# Returns 1 if it stood, -1 if the other name is taken.
MOVE_CASE = (
    _ROOM
    + _PARTS
    + """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[3] then return 0 end
if ARGV[1] ~= ARGV[2] and redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then return -1 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
if ARGV[1] == ARGV[2] then return 1 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[6], ARGV[1])
if is_of(KEYS[2], ARGV[5]) then
  local size = tonumber(redis.call('HGET', KEYS[5], ARGV[1]) or '0')
  redis.call('RENAME', KEYS[2], KEYS[3])
  forget(KEYS[4], KEYS[5], ARGV[1])
  enter(KEYS[4], KEYS[5], ARGV[2], size)
end
return 1
"""
)
