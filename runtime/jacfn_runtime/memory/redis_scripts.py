"""The Redis side of the cache, as Lua scripts. Each runs alone in Redis, so each is one step of the argument in redis.py.

Everything that has to be remembered together lies in one hash, the gate, so that no eviction can part it:

    life      the cache's present life: copies of other lives are never looked at
    run       the run_id of the Redis that this life began in: a restart from disk or a failover begins a new life
    opens     ms; before it nothing is read or filled
    until     ms; the permit: before it copies may be believed
    seq       how many commits were marked in this life
    flights   `token:seq:deadline;...`: commits that are marked and not over
    b<n>      the seq of the last mark in bucket n; a document's bucket is a hash of its name

Beside it lies one key per copy: `<prefix><life>:<name>` holds a stamp of 16 characters, then the copy.
"""

from __future__ import annotations

BUCKETS = 4096
"""More buckets refuse fewer fills by chance, and make the gate longer: about 60 kB with all of them in use."""
STAMP_LENGTH = 16

_PRELUDE = f"""
local gate, prefix = KEYS[1], ARGV[1]
local CHUNK = 1000
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function this_run()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end
local function alive(life, run)
  return life and run == this_run()
end
local function flights(text, time)
  local kept, oldest = {{}}, nil
  for token, seq, deadline in string.gmatch(text or '', '([^:;]+):(%d+):(%d+)') do
    if tonumber(deadline) > time then
      kept[#kept + 1] = token .. ':' .. seq .. ':' .. deadline
      seq = tonumber(seq)
      if not oldest or seq < oldest then oldest = seq end
    end
  end
  return table.concat(kept, ';'), oldest
end
local function holds(key, stamp)
  return redis.call('GETRANGE', key, 0, {STAMP_LENGTH - 1}) == stamp
end
"""

READ = (
    _PRELUDE
    + """
-- ARGV: prefix, number of names, names..., then name and stamp of each copy that was read before.
-- Answer: {'lost'} | {'closed', ms to wait} | {'lapsed', life, ticket} | {'torn'} | {'open', life, ticket, ms left, copies...}
local g = redis.call('HMGET', gate, 'life', 'run', 'opens', 'until', 'seq', 'flights')
if not alive(g[1], g[2]) then return {'lost'} end
local time = now()
if time < tonumber(g[3]) then return {'closed', tonumber(g[3]) - time} end
local _, oldest = flights(g[6], time)
local ticket = tonumber(g[5])
if oldest and oldest - 1 < ticket then ticket = oldest - 1 end
if time >= tonumber(g[4]) then return {'lapsed', g[1], ticket} end
local count = tonumber(ARGV[2])
local base = prefix .. g[1] .. ':'
for i = 3 + count, #ARGV, 2 do
  if not holds(base .. ARGV[i], ARGV[i + 1]) then return {'torn'} end
end
local answer = {'open', g[1], ticket, tonumber(g[4]) - time}
for first = 3, 2 + count, CHUNK do
  local keys = {}
  for i = first, math.min(first + CHUNK - 1, 2 + count) do keys[#keys + 1] = base .. ARGV[i] end
  for _, copy in ipairs(redis.call('MGET', unpack(keys))) do answer[#answer + 1] = copy end
end
return answer
"""
)

FILL = (
    _PRELUDE
    + """
-- ARGV: prefix, life, ticket, ms to live, then name, bucket and copy of each. A copy is taken if its document was not marked
-- after the ticket was given; one that is there already is as good.
local g = redis.call('HMGET', gate, 'life', 'run', 'opens')
if g[1] ~= ARGV[2] or not alive(g[1], g[2]) or now() < tonumber(g[3]) then return 0 end
local ticket, taken = tonumber(ARGV[3]), 0
for i = 5, #ARGV, 3 do
  local last = redis.call('HGET', gate, 'b' .. ARGV[i + 1])
  if not last or tonumber(last) <= ticket then
    redis.call('SET', prefix .. g[1] .. ':' .. ARGV[i], ARGV[i + 2], 'PX', ARGV[4], 'NX')
    taken = taken + 1
  end
end
return taken
"""
)

MARK = (
    _PRELUDE
    + """
-- ARGV: prefix, token, ms that the commit may take, then name and bucket of each document that it changes.
-- Answer: 1, or 0 if there is no gate.
local g = redis.call('HMGET', gate, 'life', 'run', 'flights')
if not alive(g[1], g[2]) then return 0 end
local time = now()
local seq = redis.call('HINCRBY', gate, 'seq', 1)
local kept = flights(g[3], time)
local flight = ARGV[2] .. ':' .. seq .. ':' .. (time + tonumber(ARGV[3]))
redis.call('HSET', gate, 'flights', kept == '' and flight or kept .. ';' .. flight)
for i = 4, #ARGV, 2 do
  redis.call('HSET', gate, 'b' .. ARGV[i + 1], seq)
  redis.call('UNLINK', prefix .. g[1] .. ':' .. ARGV[i])
end
return 1
"""
)

END = (
    _PRELUDE
    + """
-- ARGV: prefix, token of a commit that is over, whatever became of it.
local text = redis.call('HGET', gate, 'flights')
if not text then return 0 end
local kept = {}
for token, rest in string.gmatch(text, '([^:;]+):([^;]+)') do
  if token ~= ARGV[2] then kept[#kept + 1] = token .. ':' .. rest end
end
redis.call('HSET', gate, 'flights', table.concat(kept, ';'))
return 1
"""
)

LOOK = (
    _PRELUDE
    + """
-- ARGV: prefix, ms for which nobody else should do what the caller is about to do (0: it may).
-- Answer: {ms, life, or '' if this Redis has none} | {} if somebody is at it.
if ARGV[2] ~= '0' and not redis.call('SET', prefix .. 'renewing', 1, 'NX', 'PX', ARGV[2]) then return {} end
local g = redis.call('HMGET', gate, 'life', 'run')
return {now(), alive(g[1], g[2]) and g[1] or ''}
"""
)

PERMIT = (
    _PRELUDE
    + """
-- ARGV: prefix, life, ms when the permit ends. Answer: ms until copies may be believed (0: now), or -1: this life is not here.
local g = redis.call('HMGET', gate, 'life', 'run', 'opens', 'until')
if g[1] ~= ARGV[2] or not alive(g[1], g[2]) then return -1 end
if tonumber(ARGV[3]) > tonumber(g[4]) then redis.call('HSET', gate, 'until', ARGV[3]) end
return math.max(0, tonumber(g[3]) - now())
"""
)

BIRTH = (
    _PRELUDE
    + """
-- ARGV: prefix, life, ms until it opens. Begins a life; whatever was here before is forgotten. Nothing if it has begun already:
-- a call whose connection broke is sent again, and somebody may have marked a commit in between.
if redis.call('HGET', gate, 'life') == ARGV[2] then return 0 end
redis.call('DEL', gate)
redis.call('HSET', gate, 'life', ARGV[2], 'run', this_run(), 'opens', now() + tonumber(ARGV[3]), 'until', 0, 'seq', 0)
return 1
"""
)
