-- Leave of a journal that has ended its last event, as a string in the place of the log, and in the meta hash
-- what readers are told besides. A stream of one entry would cost 4.7 KB, whatever the entry: Redis makes its
-- first node at full size. The hash is made anew, since a table does not become a list of few values again.
-- A (see journal/scripts.py): none
-- Reply: 1: it is short now, or not there; 0: it has not ended

local meta = load_meta()
if not meta then return 1 end
if meta.term == '' then return 0 end
local tip = redis.pcall('XREVRANGE', LOG, '+', '-', 'COUNT', 1)
if not tip[1] then return 1 end

local unread = { op = true, n = true, rank = true, p = true, sp = true, lease = true, span = true,
  shown = true, second = true, reports = true, about = meta.term == 'complete' }
local kept, all = {}, redis.call('HGETALL', META)
for i = 1, #all, 2 do
  local field, value = all[i], all[i + 1]
  if value ~= '' and not unread[field] and string.sub(field, 1, 2) ~= 'r:' then
    kept[#kept + 1] = field
    kept[#kept + 1] = value
  end
end
local ttl_ms = redis.call('PTTL', META)
redis.call('DEL', META)
redis.call('HSET', META, unpack(kept))
redis.call('SET', LOG, tip[1][2][2])
if ttl_ms > 0 then
  redis.call('PEXPIRE', META, ttl_ms)
  redis.call('PEXPIRE', LOG, ttl_ms)
end
return 1
