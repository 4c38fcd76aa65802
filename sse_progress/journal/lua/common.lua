-- Shared by every script of the journal, after time.lua.

-- The meta hash as a table; nil where the journal does not exist. Stage results stay in Redis.
-- KEPT is what Redis has of its first HELD fields, so that only what has changed is written, copied
-- to replicas and appended to files.
local FIELDS = { 'epoch', 'stage', 'term', 'tags',
  'seq', 'fence', 'n', 'ts', 'rank', 'p', 'sp', 'lease', 'span', 'created',
  'owner', 'op', 'producer' }
local FIRST_NUMBER, LAST_NUMBER, OF_WRITER = 5, 14, 13

local KEPT, HELD = {}, #FIELDS

-- `of_writer`: without the last fields, which the writer of a journal neither asks for nor changes.
local function load_meta(of_writer)
  local held = of_writer and OF_WRITER or #FIELDS
  local v = redis.call('HMGET', META, unpack(FIELDS, 1, held))
  if not v[1] then return nil end
  for i = 1, held do
    if i < FIRST_NUMBER or i > LAST_NUMBER then
      v[i] = v[i] or ''
    else
      v[i] = (v[i] or 0) + 0
    end
  end
  KEPT, HELD = v, held
  return { epoch = v[1], stage = v[2], term = v[3], tags = v[4], seq = v[5], fence = v[6], n = v[7],
    ts = v[8], rank = v[9], p = v[10], sp = v[11], lease = v[12], span = v[13], created = v[14],
    owner = v[15], op = v[16], producer = v[17] }
end

local function new_meta(epoch, owner)
  redis.call('DEL', LOG)
  return { epoch = epoch, owner = owner, seq = 0, fence = 0, n = 0, ts = 0, stage = '', rank = 0,
    p = 0, sp = 0, term = '', lease = 0, span = 0, op = '', created = now_ms(), tags = '',
    producer = '' }
end

-- Numbers go through %d: the default conversion would write large ones as 1.7e+12.
local function save_meta(meta)
  local flat, size = {}, 0
  for i = 1, HELD do
    local name = FIELDS[i]
    local value = meta[name]
    if value ~= KEPT[i] then
      local number = i >= FIRST_NUMBER and i <= LAST_NUMBER
      flat[size + 1], flat[size + 2] = name, number and string.format('%d', value) or value
      size = size + 2
    end
  end
  if size > 0 then redis.call('HSET', META, unpack(flat)) end
end

-- Redis lost something: what follows is another telling of the same upload.
local function new_epoch(meta, epoch)
  redis.call('DEL', LOG)
  meta.epoch, meta.seq, meta.stage, meta.rank, meta.p, meta.sp, meta.term =
    epoch, 0, '', 0, 0, 0, ''
end
