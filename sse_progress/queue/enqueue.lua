-- Put a job into the queue, unless it is there already: waiting, running, delayed or parked.
-- KEYS: waiting running jobs workers delayed parked, as in report.lua
-- ARGV: id ttl_s channel again. `again` = 1: a delayed or parked job waits again, its attempts are
--       forgotten
-- Reply: where the job was: '' (it is new), waiting, running, delayed or parked

local waiting, running, jobs, delayed, parked = KEYS[1], KEYS[2], KEYS[3], KEYS[5], KEYS[6]
local id, ttl, channel, again = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'

if redis.call('ZSCORE', running, id) then return 'running' end
local was = ''
if redis.call('ZSCORE', delayed, id) then was = 'delayed' end
if redis.call('ZSCORE', parked, id) then was = 'parked' end
if was ~= '' and not again then return was end
redis.call('ZREM', delayed, id)
redis.call('ZREM', parked, id)
if again then redis.call('HDEL', jobs, 'crashes/' .. id) end

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if redis.call('ZADD', waiting, 'NX', now, id) == 0 then return 'waiting' end
redis.call('EXPIRE', waiting, ttl)
redis.call('PUBLISH', channel, '')
return was
