-- The journal of a batch: who belongs to it, what became of each, and the events that say so; one step.
-- KEYS[3] is a hash: each item's id, and `running`, `complete`, `error` or `cancelled`.
-- A (see journal/scripts.py):
--   op epoch owner channel id
--   item status
--   total       items that were announced; 0: not said
--   most        items that it may have
--   work        what is done to its items, if that is the batch's purpose: `cancel` or `delete`
--   tags about ttl_open_s ttl_done_s    as in append.lua
-- op:   open   begins it, or says how many items there are to be
--       join   an item begins
--       note   an item has ended with `status`; one that has not joined does so now
--       close  no more items join; with `status` cancelled an empty one ends so
--       flush  tell what was merged
-- Reply: {status, epoch, seq, term, wait}; status: ok new dup merged closed full forbidden unknown ended
-- An item counts once, whatever is noted of it later and however often.

local MEMBERS = KEYS[3]
local op, item = A.op, A.item
local meta = load_meta()

local function reply(what, wait_ms)
  if not meta then return { what, '', 0, '', 0 } end
  return { what, meta.epoch, meta.seq, meta.term, wait_ms or 0 }
end

local function count(field)
  return tonumber(redis.call('HGET', META, field) or 0)
end

local function join()
  if redis.call('HGET', META, 'closed') then return 'closed' end
  if redis.call('HLEN', MEMBERS) >= count('most') then return 'full' end
  redis.call('HSET', MEMBERS, item, 'running')
end

-- ---- what happens

local status, told = 'ok', nil
if op == 'open' then
  if meta and meta.owner ~= A.owner then return reply('forbidden') end
  if meta and (meta.seq == 0 or meta.producer ~= 'batch') then return reply('forbidden') end
  if meta and meta.term ~= '' then return reply('ended') end
  if not meta then
    redis.call('DEL', MEMBERS)
    meta, status = new_meta(A.epoch, A.owner), 'new'
    meta.tags, meta.producer = A.tags, 'batch'
    redis.call('HSET', META, 'most', A.most, 'work', A.work, 'about', A.about)
  end
  if tonumber(A.total) > 0 then redis.call('HSET', META, 'total', A.total) end
elseif not meta then
  return reply('unknown')
elseif A.owner ~= '' and meta.owner ~= A.owner then
  return reply('forbidden')
elseif meta.term ~= '' then
  return reply(op == 'join' and 'closed' or 'ended')
elseif op == 'join' then
  if redis.call('HEXISTS', MEMBERS, item) == 1 then return reply('dup') end
  local refused = join()
  if refused then return reply(refused) end
  told = 'running'
elseif op == 'note' then
  local known = redis.call('HGET', MEMBERS, item)
  if not known then
    local refused = join()
    if refused then return reply(refused) end
  elseif known ~= 'running' then
    return reply('dup')
  end
  redis.call('HSET', MEMBERS, item, A.status)
  redis.call('HINCRBY', META, A.status, 1)
  told = A.status
elseif op == 'close' then
  redis.call('HSET', META, 'closed', 1)
elseif op == 'flush' and not redis.call('HGET', META, 'late') then
  return reply('dup')
end

-- ---- what it comes to

local members, announced = redis.call('HLEN', MEMBERS), count('total')
local complete, failed, cancelled = count('complete'), count('error'), count('cancelled')
local ended, closed = complete + failed + cancelled, redis.call('HGET', META, 'closed')
local total = closed and members or math.max(announced, members)
local over = ended == members and (closed or (announced > 0 and members >= announced))

local function keep()
  save_meta(meta)
  local ttl = meta.term ~= '' and A.ttl_done_s or A.ttl_open_s
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ttl) end
end

local shown = count('shown')
local early = meta.ts + math.min(100 * 2 ^ math.min(math.floor(shown / 100), 6), 5000) - now_ms()
if not over and meta.seq > 0 and early > 0 then
  redis.call('HSET', META, 'late', 1)
  keep()
  return reply('merged', early)
end
redis.call('HDEL', META, 'late')
redis.call('HSET', META, 'shown', shown + 1)

local function say(stage, rank, p, sp, message, more)
  meta.seq = meta.seq + 1
  meta.ts = math.max(meta.ts, now_ms())
  meta.stage, meta.rank, meta.p, meta.sp = stage, rank, p, sp
  local terminal = stage ~= 'processing'
  if terminal then meta.term = stage end
  local frame = string.format('id: %s-%d\ndata: {"type":"progress","batchId":"%s","progress":%d,' ..
    '"stage":"%s","message":"%s","timestamp":"%s","stageProgress":%d', meta.epoch, meta.seq, A.id, p,
    stage, message, rfc3339(meta.ts), sp) .. (meta.tags ~= '' and ',' .. meta.tags or '') ..
    string.format(',"items":{"total":%d,"complete":%d,"error":%d,"cancelled":%d,"running":%d}',
      total, complete, failed, cancelled, members - ended) ..
    (told and string.format(',"item":{"uploadId":"%s","status":"%s"}', item, told) or '') ..
    more .. '}\n\n'
  redis.call('XADD', LOG, string.format('%d-0', meta.seq), 'f', frame)
  redis.call('PUBLISH', A.channel, (terminal and '1' or '0') .. frame)
end

if meta.seq == 0 then
  say('processing', 1, 0, 0, 'Waiting for the first item', '')
end
if not over then
  local sp = total > 0 and math.min(math.floor(100 * ended / total), 99) or 0
  sp = math.max(sp, meta.sp)
  if status ~= 'new' then
    say('processing', 1, sp, sp, string.format('Item %d of %d', math.min(ended + 1, total), total), '')
  end
else
  local summary = string.format('%d of %d items complete', complete, total)
  say('processing', 1, 99, 100, summary, '')
  if cancelled == members and (members > 0 or A.status == 'cancelled') then
    say('cancelled', 1001, 0, 0, 'The batch was cancelled', ',"error":{"code":"cancelled","detail":' ..
      '"Every item of the batch was cancelled.","stage":"processing"}')
  else
    say('complete', 1000, 100, 100, summary, '')
  end
end
keep()
return reply(status)
