"""The store's atomic steps about pictures, evidence and what reviews keep. KEYS and ARGV are listed above each.

A room is an order (a sorted set of names), sizes (a hash; '' holds the sum) and what the keys of its things begin
with. Those whose time is over are forgotten, and then the oldest go until there is room.
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
forget(KEYS[1], KEYS[2], ARGV[2])
redis.call('DEL', ARGV[1] .. ARGV[2])
local size, budget, dropped = string.len(ARGV[3]), tonumber(ARGV[5]), 1
if size <= budget then
  dropped = make_room(KEYS[1], KEYS[2], ARGV[1], size, budget)
  redis.call('SET', ARGV[1] .. ARGV[2], ARGV[3], 'EX', ARGV[4])
  enter(KEYS[1], KEYS[2], ARGV[2], size)
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
if dropped > 0 then redis.call('HINCRBY', KEYS[3], 'pictures_dropped', dropped) end
return dropped
"""
)

# KEYS: order, sizes, counters, the part's evidence, the part's exhibit, sizes of exhibits.  ARGV: what the keys of the
# room begin with, the part, time to live in s, how many bytes the room may hold, cover, camera, the
# camera's evidence.  What a review has kept grows where it lies, beyond its room if need be.
# Returns 1 if it is kept.
PUT_EVIDENCE = (
    _ROOM
    + """
local function grown(key)
  local size = string.len(ARGV[7]) - redis.call('HSTRLEN', key, ARGV[6])
  return size + string.len(ARGV[5]) - redis.call('HSTRLEN', key, '')
end
if redis.call('EXISTS', KEYS[5]) == 1 then
  local more = grown(KEYS[5])
  redis.call('HSET', KEYS[5], '', ARGV[5], ARGV[6], ARGV[7])
  redis.call('HINCRBY', KEYS[6], ARGV[2], more)
  redis.call('HINCRBY', KEYS[6], '', more)
  return 1
end
local before, name = 0, 'evidence:' .. ARGV[2]
if redis.call('EXISTS', KEYS[4]) == 1 then before = tonumber(redis.call('HGET', KEYS[2], name) or '0') end
local size, budget = before + grown(KEYS[4]), tonumber(ARGV[4])
local kept, dropped = 0, 1
if size <= budget then
  forget(KEYS[1], KEYS[2], name)
  kept, dropped = 1, make_room(KEYS[1], KEYS[2], ARGV[1], size, budget)
  redis.call('HSET', KEYS[4], '', ARGV[5], ARGV[6], ARGV[7])
  redis.call('EXPIRE', KEYS[4], ARGV[3])
  enter(KEYS[1], KEYS[2], name, size)
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[3])
if dropped > 0 then redis.call('HINCRBY', KEYS[3], 'pictures_dropped', dropped) end
return kept
"""
)
