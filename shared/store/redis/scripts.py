"""The store's atomic steps, run inside Redis. KEYS and ARGV are listed above each."""

# KEYS: part, counters, lines.  ARGV: retention in s, line, decide_by, shift, what shifts' keys begin with, their
# retention in s.  Returns claim, settled, published.  A part counts in the shift that it was first known in, always.
ANNOUNCE = """
if redis.call('HSETNX', KEYS[1], 'decide_by_ns', ARGV[3]) == 1 then
  redis.call('HSETNX', KEYS[1], 'shift', ARGV[4])
  local shift = ARGV[5] .. redis.call('HGET', KEYS[1], 'shift')
  redis.call('HINCRBY', shift, 'announced', 1)
  redis.call('EXPIRE', shift, ARGV[6])
  redis.call('EXPIRE', KEYS[1], ARGV[1])
  redis.call('HINCRBY', KEYS[2], 'announced', 1)
  redis.call('SADD', KEYS[3], ARGV[2])
end
return redis.call('HMGET', KEYS[1], 'claim', 'settled', 'published')
"""

# KEYS: part, lease.  ARGV: decision, retention in s, token or ''.  Returns the decision that was first, or nothing if
# another token stands.
CLAIM = """
if ARGV[3] ~= '' and redis.call('HGET', KEYS[2], 'token') ~= ARGV[3] then return false end
redis.call('HSETNX', KEYS[1], 'claim', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('HGET', KEYS[1], 'claim')
"""

# Adds one to the counters named from ARGV[first] on, those of the line and those of the shift.
_COUNT = """
local function count(shift, bucket, first)
  for index = first, #ARGV do
    redis.call('HINCRBY', KEYS[2], ARGV[index], 1)
    redis.call('HINCRBY', shift, ARGV[index], 1)
  end
  if bucket ~= '' then
    redis.call('HINCRBY', KEYS[4], bucket, 1)
    redis.call('HINCRBY', shift, 'ms:' .. bucket, 1)
  end
end
"""

# KEYS: part, counters, decisions stream, latency, ledger, lease.  ARGV: decision, retention in s, stream length,
# latency bucket or '', link or '', the link that must stand or '', token or '', shift, what shifts' keys begin with,
# their retention in s, then names of counters to add one to.
# Returns 1, 0 if done, -1 if another link stands, or -2 if another token does.
SETTLE = (
    _COUNT
    + """
if ARGV[7] ~= '' and redis.call('HGET', KEYS[6], 'token') ~= ARGV[7] then return -2 end
if redis.call('HEXISTS', KEYS[1], 'settled') == 1 then return 0 end
if ARGV[5] ~= '' then
  if (redis.call('HGET', KEYS[5], 'link') or '') ~= ARGV[6] then return -1 end
  redis.call('HSET', KEYS[5], 'link', ARGV[5], 'decision', ARGV[1])
end
redis.call('HSET', KEYS[1], 'settled', '1', 'claim', ARGV[1], 'link', ARGV[5])
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('HSETNX', KEYS[1], 'shift', ARGV[8])
local shift = ARGV[9] .. redis.call('HGET', KEYS[1], 'shift')
count(shift, ARGV[4], 11)
redis.call('EXPIRE', shift, ARGV[10])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'decision', ARGV[1])
return 1
"""
)

# KEYS: part, counters, decisions stream, latency, lines, lease.  ARGV: decision, retention in s, stream length, latency
# bucket or '', link or '', decide_by, token or '', line, shift, what shifts' keys begin with, their retention in s,
# then names of counters to add one to.  Returns 1, 0 if it was settled, or -2 if another token stands.
RESTORE = (
    _COUNT
    + """
if ARGV[7] ~= '' and redis.call('HGET', KEYS[6], 'token') ~= ARGV[7] then return -2 end
if redis.call('HEXISTS', KEYS[1], 'settled') == 1 then return 0 end
redis.call('HSETNX', KEYS[1], 'shift', ARGV[9])
local shift = ARGV[10] .. redis.call('HGET', KEYS[1], 'shift')
if redis.call('HSETNX', KEYS[1], 'decide_by_ns', ARGV[6]) == 1 then
  redis.call('HINCRBY', KEYS[2], 'announced', 1)
  redis.call('HINCRBY', shift, 'announced', 1)
  redis.call('SADD', KEYS[5], ARGV[8])
end
redis.call('HSET', KEYS[1], 'settled', '1', 'claim', ARGV[1], 'link', ARGV[5], 'published', '1')
redis.call('EXPIRE', KEYS[1], ARGV[2])
count(shift, ARGV[4], 12)
redis.call('EXPIRE', shift, ARGV[11])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'decision', ARGV[1])
return 1
"""
)

# KEYS: lease.  ARGV: holder, token and beat that shall stand, then those that must; a token '' for no lease at all.
# Returns 1 if it stood.
LEASE = """
local stands = redis.call('HMGET', KEYS[1], 'holder', 'token', 'beat')
if (stands[2] or '') ~= ARGV[5] then return 0 end
if stands[2] and (stands[1] ~= ARGV[4] or stands[3] ~= ARGV[6]) then return 0 end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'token', ARGV[2], 'beat', ARGV[3])
return 1
"""

# KEYS: part.  ARGV: retention in s.  A part that has expired stays away.
PUBLISHED = """
if redis.call('EXPIRE', KEYS[1], ARGV[1]) == 1 then redis.call('HSET', KEYS[1], 'published', '1') end
return 1
"""

# KEYS: kept, notes stream.  ARGV: value, what must stand ('' for nothing), length of the notes or 0 for none.
# Returns 1 if it stood.
KEEP = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
if ARGV[3] ~= '0' then redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'note', ARGV[1]) end
return 1
"""

# KEYS: handling, deeds stream.  ARGV: field, deed, '1' if it counts from now on or '0' if it ends what it is about,
# stream length, then fields that count no more, each with the value that it had.
HANDLE_ALERT = """
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'deed', ARGV[2])
for index = 5, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[index]) == ARGV[index + 1] then redis.call('HDEL', KEYS[1], ARGV[index]) end
end
return 1
"""

# KEYS: stream.  ARGV: an entry's id.  Returns how many entries stand behind it.  What XINFO calls lag is wrong for good
# once entries were trimmed that a group had not read.
BEHIND = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if not last or last[1] == ARGV[1] then return 0 end
return #redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+')
"""

# KEYS: payload.  ARGV: its next piece.  Returns 0 for one that is gone: begun anew here it would never expire.
EXTEND = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('APPEND', KEYS[1], ARGV[1])
return 1
"""
