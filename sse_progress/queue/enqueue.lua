-- Put a job into the queue, unless it is there already: waiting, running, delayed or parked.
-- KEYS: waiting running jobs workers delayed parked arrived turns idle, as in report.lua
-- ARGV: id ttl_s channel again owner head_start lease_ms lane
--   again = 1: a delayed or parked job waits again, its attempts are forgotten
--   owner: whose turn it takes; head_start: jobs of others that it goes before
--   lane: where another engine has the job, if there is one
-- Reply: where the job was: '' (it is new), waiting, running, delayed or parked
--
-- Turns: a job's turn is one after its owner's latest, and never before the one that was given out
-- last. So the jobs of several owners alternate, however many one of them has.

local waiting, running, jobs, delayed, parked = KEYS[1], KEYS[2], KEYS[3], KEYS[5], KEYS[6]
local workers, arrived, turns, idle = KEYS[4], KEYS[7], KEYS[8], KEYS[9]
local id, ttl, channel, again = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local owner, head_start, lease, lane = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]

if redis.call('ZSCORE', running, id) then return 'running' end
if redis.call('ZSCORE', waiting, id) then return 'waiting' end
local was = ''
if redis.call('ZSCORE', delayed, id) then was = 'delayed' end
if redis.call('ZSCORE', parked, id) then was = 'parked' end
if was ~= '' and not again then return was end
redis.call('ZREM', delayed, id)
redis.call('ZREM', parked, id)
if again then redis.call('HDEL', jobs, 'crashes/' .. id) end

local given = tonumber(redis.call('HGET', jobs, 'turn') or 0)
local turn = math.max(given, tonumber(redis.call('ZSCORE', turns, owner) or 0)) + 1
redis.call('ZADD', turns, turn, owner)
redis.call('ZADD', waiting, turn - head_start, id)
if lane ~= '' then
  redis.call('HSET', jobs, 'lane/' .. id, lane)
  redis.call('EXPIRE', jobs, ttl)
end

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', arrived, now, id)
for _, key in ipairs({ waiting, arrived, turns }) do redis.call('EXPIRE', key, ttl) end
wake(idle, workers, channel, 1, now - lease)
return was
