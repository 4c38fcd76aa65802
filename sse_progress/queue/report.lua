-- A worker's report: what it holds, what it has done or gives back, how many more it can take.
-- One step, and harmless when it is repeated or comes late: a job is named with the number of the
-- report that took it, and reports of a worker are numbered upwards.
-- KEYS: waiting  sorted set: id by its turn (0: goes first; see enqueue.lua)
--       running  sorted set: id by the end of its lease, ms
--       jobs     hash: owner/<id> = <worker>:<number>, crashes/<id> = attempts that a worker's death
--                or a `later` ended, seen = time of a last report, paused = 1: no job is given out,
--                turn = the highest that was given out, lane/<id> = where another engine has it
--       workers  sorted set: worker by the time of its last report, ms
--       delayed  sorted set: id by the time from which on it waits again, ms
--       parked   sorted set: id by the time since when it waits for an operator, ms
--       arrived  sorted set: waiting id by the time since when it waits, ms
--       turns    sorted set: owner by the latest turn of its jobs, where that is still to come
--       idle     sorted set: worker by how many more jobs it takes, until it is woken (see wake.lua)
-- ARGV: worker number room lease_ms ttl_s channel unsure leaving gives,
--       then (held | done | back | later | park | take) id number delay_ms, …
--   gives = 0: no job is given out here; the worker takes those that another engine gave it
-- Reply: { jobs lost: id, number, … }, { jobs taken: id, crashes, … }, ms until a lease may run out
--   a job of `take` is taken, or lost if it does not wait here

local waiting, running, jobs, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local delayed, parked, arrived, turns, idle = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local worker, number, room = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local lease, ttl, channel, unsure = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], ARGV[7]
local leaving, gives = ARGV[8] == '1', ARGV[9] == '1'

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local freed = 0

local function owner_of(id)
  local owner = redis.call('HGET', jobs, 'owner/' .. id)
  if not owner then return nil end
  local who, since = string.match(owner, '^(.*):(%d+)$')
  return who, tonumber(since)
end

local function hold(id, since)
  redis.call('ZADD', running, now + lease, id)
  redis.call('HSET', jobs, 'owner/' .. id, worker .. ':' .. since)
end

local function let_go(id)
  redis.call('ZREM', running, id)
  redis.call('HDEL', jobs, 'owner/' .. id)
end

local function wait(id, turn)
  redis.call('ZADD', waiting, 'NX', turn, id)
  redis.call('ZADD', arrived, 'NX', now, id)
  freed = freed + 1
end

local function give_back(id)
  let_go(id)
  wait(id, 0)
end

-- ---- no report for a while, or the clock jumped: Redis itself was away. Its leases expired
-- while no worker could renew them, so they start again; living workers report before any ends.

local seen = tonumber(redis.call('HGET', jobs, 'seen') or 0)
redis.call('HSET', jobs, 'seen', now)
if now < seen or now > seen + lease / 2 then
  for _, id in ipairs(redis.call('ZRANGE', running, 0, -1)) do
    redis.call('ZADD', running, now + lease, id)
  end
end

if leaving then
  redis.call('ZREM', workers, worker)
else
  redis.call('ZADD', workers, now, worker)
end
if redis.call('ZREMRANGEBYSCORE', workers, '-inf', now - ttl * 1000) > 0 then
  redis.call('ZINTERSTORE', idle, 2, idle, workers, 'WEIGHTS', 1, 0)
end

-- ---- what the worker says. A job that Redis lost, or took for dead too early, is its again.

local lost, taken, named = {}, {}, {}

local function take(id)
  hold(id, number)
  taken[#taken + 1] = id
  taken[#taken + 1] = tonumber(redis.call('HGET', jobs, 'crashes/' .. id) or 0)
end

local function turn_is_given(turn)
  turn = math.max(turn, tonumber(redis.call('HGET', jobs, 'turn') or 0))
  redis.call('HSET', jobs, 'turn', turn)
  redis.call('ZREMRANGEBYSCORE', turns, '-inf', turn)
end

for i = 10, #ARGV, 4 do
  local verb, id, since = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local who, known = owner_of(id)
  named[id] = true
  if verb == 'take' then
    local turn = redis.call('ZSCORE', waiting, id)
    if who or not (turn or redis.call('ZSCORE', delayed, id)) then
      lost[#lost + 1] = id
      lost[#lost + 1] = since
    else
      turn_is_given(tonumber(turn or 0))
      for _, key in ipairs({ waiting, arrived, delayed }) do redis.call('ZREM', key, id) end
      take(id)
    end
  elseif not who or (who == worker and known <= since) then
    local was_waiting = redis.call('ZREM', waiting, id) == 1
    redis.call('ZREM', arrived, id)
    if verb == 'held' then
      if was_waiting and redis.call('HEXISTS', jobs, 'crashes/' .. id) == 1 then
        redis.call('HINCRBY', jobs, 'crashes/' .. id, -1)
      end
      hold(id, since)
    elseif verb == 'done' then
      let_go(id)
      redis.call('HDEL', jobs, 'crashes/' .. id, 'lane/' .. id)
    elseif verb == 'later' then
      let_go(id)
      redis.call('HINCRBY', jobs, 'crashes/' .. id, 1)
      redis.call('ZADD', delayed, now + tonumber(ARGV[i + 3]), id)
    elseif verb == 'park' then
      let_go(id)
      redis.call('ZADD', parked, now, id)
    else
      give_back(id)
    end
  elseif verb == 'held' then
    lost[#lost + 1] = id
    lost[#lost + 1] = since
  end
end

-- ---- jobs given in an answer that the worker never got

if unsure == '1' then
  for _, id in ipairs(redis.call('ZRANGE', running, 0, -1)) do
    local who, since = owner_of(id)
    if who == worker and since < number and not named[id] then give_back(id) end
  end
end

-- ---- jobs of workers whose lease expired

for _, id in ipairs(redis.call('ZRANGE', running, '-inf', now, 'BYSCORE')) do
  redis.call('HINCRBY', jobs, 'crashes/' .. id, 1)
  give_back(id)
end

-- ---- jobs whose delay is over

for _, id in ipairs(redis.call('ZRANGE', delayed, '-inf', now, 'BYSCORE')) do
  redis.call('ZREM', delayed, id)
  wait(id, tonumber(redis.call('HGET', jobs, 'turn') or 0))
end

-- ---- new work

if gives and room > 0 and redis.call('HEXISTS', jobs, 'paused') == 0 then
  local next = redis.call('ZPOPMIN', waiting, room)
  for i = 1, #next, 2 do
    redis.call('ZREM', arrived, next[i])
    take(next[i])
  end
  turn_is_given(tonumber(next[#next] or 0))
end
room = room - #taken / 2
if room > 0 and not leaving then
  redis.call('ZADD', idle, room, worker)
else
  redis.call('ZREM', idle, worker)
end
freed = math.min(freed, redis.call('ZCARD', waiting))
if freed > 0 then wake(idle, workers, channel, freed, now - lease) end

for _, key in ipairs(KEYS) do
  if redis.call('TTL', key) < ttl / 2 then redis.call('EXPIRE', key, ttl) end
end
local soonest = now + lease
for _, key in ipairs({ running, delayed }) do
  soonest = math.min(soonest, tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or soonest))
end
return { lost, taken, math.max(soonest - now, 0) }
