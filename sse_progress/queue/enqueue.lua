-- Put a job into the queue, unless it is there already: waiting or running.
-- KEYS: waiting running, as in report.lua. ARGV: id ttl_s channel. Reply: 1 if it was new, else 0.

local waiting, running = KEYS[1], KEYS[2]
local id, ttl, channel = ARGV[1], ARGV[2], ARGV[3]

if redis.call('ZSCORE', running, id) then return 0 end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if redis.call('ZADD', waiting, 'NX', now, id) == 0 then return 0 end
redis.call('EXPIRE', waiting, ttl)
redis.call('PUBLISH', channel, '')
return 1
