-- Shared by every script of the journal. KEYS[1] is the upload's meta hash, KEYS[2] its log.

local META, LOG = KEYS[1], KEYS[2]

local NOW

local function now_ms()
  if not NOW then
    local t = redis.call('TIME')
    NOW = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return NOW
end

-- Milliseconds since 1970 as RFC 3339 in UTC. Days to a date: count in 400-year eras of 146097 days
-- that begin on the first of March, so that the leap day is the last day of its year.
local function rfc3339(ms)
  local seconds = math.floor(ms / 1000)
  local days = math.floor(seconds / 86400) + 719468
  local era = math.floor(days / 146097)
  local doe = days - era * 146097
  local yoe = math.floor(
    (doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  local of_day = seconds % 86400
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month,
    doy - math.floor((153 * mp + 2) / 5) + 1,
    math.floor(of_day / 3600), math.floor(of_day / 60) % 60, of_day % 60, ms % 1000)
end

-- The meta hash as a table; nil where the journal does not exist. Stage results stay in Redis.
-- KEPT is what Redis has of it, so that only what has changed is written, copied to replicas and
-- appended to files.
local FIELDS = { 'epoch', 'owner', 'stage', 'term', 'op', 'tags', 'producer',
  'seq', 'fence', 'n', 'ts', 'rank', 'p', 'sp', 'lease', 'span', 'created' }
local TEXTS = 7 -- so many of them, then numbers

local KEPT = {}

local function load_meta()
  local values = redis.call('HMGET', META, unpack(FIELDS))
  if not values[1] then return nil end
  local meta = {}
  for i = 1, #FIELDS do
    local name = FIELDS[i]
    local value = i > TEXTS and tonumber(values[i] or 0) or values[i] or ''
    meta[name], KEPT[name] = value, value
  end
  return meta
end

local function new_meta(epoch, owner)
  redis.call('DEL', LOG)
  return { epoch = epoch, owner = owner, seq = 0, fence = 0, n = 0, ts = 0, stage = '', rank = 0,
    p = 0, sp = 0, term = '', lease = 0, span = 0, op = '', created = now_ms(), tags = '',
    producer = '' }
end

-- Numbers go through %d: the default conversion would write large ones as 1.7e+12.
local function save_meta(meta)
  local flat = {}
  for i = 1, #FIELDS do
    local name = FIELDS[i]
    local value = meta[name]
    if value ~= KEPT[name] then
      flat[#flat + 1] = name
      flat[#flat + 1] = i > TEXTS and string.format('%d', value) or value
    end
  end
  if #flat > 0 then redis.call('HSET', META, unpack(flat)) end
end

-- Redis lost something: what follows is another telling of the same upload.
local function new_epoch(meta, epoch)
  redis.call('DEL', LOG)
  meta.epoch, meta.seq, meta.stage, meta.rank, meta.p, meta.sp, meta.term =
    epoch, 0, '', 0, 0, 0, ''
end
