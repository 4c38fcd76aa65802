-- Append one event, or change who may write; all in one step. plain.lua has taken what is simplest.
-- A (see journal/scripts.py):
--   op fence n epoch owner channel
--   lease_ms ttl_open_s ttl_done_s
--   stage rank lo hi sp   the event's row of the stage table, and its stageProgress
--   head middle tail      the event's JSON, open where the journal decides
--   tags        JSON members that every event has from now on, without braces; '' leaves them as they are
--   terminal first        '1' where it ends the journal, where it begins its stage
--   stage_tail  where it is given, `tail` is open too: the stage the journal was in goes between them
--   nonce
--   producer    job: who does the work. tell: only by this one; '' asks for no check
--   rate        tell: at most so many in a second; 0: any number
--   seen_epoch seen_seq   take: the latest position that was acknowledged to its worker
--                         tell: where seq is given, only if nothing came after it
--   about       JSON that describes the file, kept there for states; '' leaves it as it is
--   result_field result   a stage's result, kept in the meta hash
--   then_…      the same of an event that follows at once, and ends nothing; then_stage '': there is none
-- For begin, the lists that the upload stands in from its first event on:
--   KEYS[3], and listed_id, listed_ms since 1970, listed_ttl_s    all that may be open
--   KEYS[4], and owned_us since 1970, owned_ttl_s, owned_most     its owner's
--   listed_channel        where it is announced to him
-- For next, the queue that it is put into with its event, whose function `enqueue` says what these are:
--   KEYS[3] and all that follow, queued_id, queued_ttl_s, queued_channel, queued_owner,
--   queued_head_start, queued_lease_ms
-- op:   next   an event by the present writer (fence, n)
--       begin  pending -> receiving: raises the fence, first event
--       take   a worker takes the job: raises the fence above itself and `fence`, no event
--       renew  a receiver lives: its lease goes on, no event
--       note   a result without an event
--       tell   an event by a writer without memory (an HTTP request): by fence, once for each nonce,
--              not numbered, and merged here; `merged`: it was left out
--       job    work of another service is announced, or taken over: raises the fence, no event
--       resume by the owner, while receiving: raises the fence, so that an older receiver is refused,
--              and says so on the channel's `:turn`; with an event, or without one
--       cancel by the owner: raises the fence, terminal event
--       sweep  by the reconciler, if `fence` is still the one it judged and the lease ran out;
--              one that runs for ten of the sweeper's leases longer than it was made for is of a
--              clock that was set back
--       revive the end of a finished upload whose journal Redis no longer has
-- Reply: {status, epoch, seq, fence, term, wait}; wait: ms until it, or after a tell the next one, may
--        be told
-- status: ok new dup skip merged paused stored stale ended forbidden in_use unknown busy fast
--         (paused: resume, ok, and the latest event says that the body rests)

local op, fence, n, nonce = A.op, tonumber(A.fence), tonumber(A.n), A.nonce
local fresh_epoch, owner, channel = A.epoch, A.owner, A.channel
local lease_ms, ttl_open, ttl_done = tonumber(A.lease_ms), A.ttl_open_s, A.ttl_done_s
local seen_epoch, seen_seq = A.seen_epoch, tonumber(A.seen_seq) or 0

local of_writer = nonce == '' and (op == 'next' or op == 'renew' or op == 'note')
local meta = load_meta(of_writer)
local seq_before, ts_before = meta and meta.seq or 0, meta and meta.ts or 0
local status, next_wait = 'ok', 0

local function reply(what, wait_ms)
  if not meta then return { what, '', 0, 0, '', 0 } end
  return { what, meta.epoch, meta.seq, meta.fence, meta.term, wait_ms or 0 }
end

-- Of an event in the midst of a journal once an hour: the keys live for days.
local function lives_on()
  return op == 'next' and status == 'ok' and meta.term == '' and seq_before > 0 and
    math.floor(ts_before / 3600000) == math.floor(meta.ts / 3600000)
end

local function keep()
  save_meta(meta)
  if lives_on() then return end
  local ttl = meta.term ~= '' and ttl_done or ttl_open
  redis.call('EXPIRE', META, ttl)
  redis.call('EXPIRE', LOG, ttl)
end

-- The present writer lives. `span` is how long this lease was made for, ms.
local function hold()
  meta.lease, meta.span = lease_ms > 0 and now_ms() + lease_ms or 0, lease_ms
end

-- ms between two events of a stage that has shown `events`: 100, doubling up to 5000.
local function interval_ms(events)
  return math.min(100 * 2 ^ math.min(math.floor(events / 100), 6), 5000)
end

-- The time, and not a count: a Redis that went back, or lost all, would give a new writer the fence of
-- one that still writes.
local function raise_fence()
  meta.fence, meta.n, meta.op = math.max(meta.fence + 1, now_us()), 0, nonce
end

-- ms until the present second is over, if it has had all reports that are allowed in one; else 0.
local function too_fast(rate)
  if rate == 0 then return 0 end
  local second, count = math.floor(now_ms() / 1000), 1
  local counted = redis.call('HMGET', META, 'second', 'reports')
  if tonumber(counted[1] or 0) == second then count = tonumber(counted[2]) + 1 end
  if count <= rate then
    redis.call('HSET', META, 'second', string.format('%d', second), 'reports', count)
    return 0
  end
  return (second + 1) * 1000 - now_ms()
end

-- A stream waits for this id, and that is all there is of it.
local function claimed_only()
  return meta.stage == '' and meta.term == '' and meta.producer == ''
end

-- Whether the latest event says that the body rests. No quote within a JSON string is bare, so no
-- text can look like this member.
local function rests()
  local last = redis.call('XREVRANGE', LOG, '+', '-', 'COUNT', 1)[1]
  return last and string.find(last[2][2], '"paused":true', 1, true) ~= nil
end

local function list()
  if not KEYS[3] then return end
  redis.call('ZADD', KEYS[3], 'NX', A.listed_ms, A.listed_id)
  redis.call('EXPIRE', KEYS[3], A.listed_ttl_s)
  if not KEYS[4] then return end
  redis.call('ZADD', KEYS[4], 'NX', A.owned_us, A.listed_id)
  redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -A.owned_most - 1)
  redis.call('EXPIRE', KEYS[4], A.owned_ttl_s)
end

-- ---- who may do this now

if meta and nonce ~= '' and meta.op == nonce then return reply('dup') end

if op == 'begin' then
  if meta and meta.owner ~= owner then return reply('forbidden') end
  if meta and not claimed_only() then return reply('in_use') end
  list()
  meta = meta or new_meta(fresh_epoch, owner)
  raise_fence()
elseif op == 'job' then
  if meta and meta.owner ~= owner then return reply('forbidden') end
  if meta and not claimed_only() and meta.producer ~= A.producer then return reply('in_use') end
  if meta and meta.term ~= '' then return reply('ended') end
  meta = meta or new_meta(fresh_epoch, owner)
  if meta.producer == '' then
    status, meta.producer, meta.tags = 'new', A.producer, A.tags
    if A.about ~= '' then redis.call('HSET', META, 'about', A.about) end
  end
  raise_fence()
  hold()
  keep()
  return reply(status)
elseif op == 'take' then
  if meta and meta.term ~= '' then return reply('ended') end
  if not meta then
    meta = new_meta(fresh_epoch, owner)
    status = 'new'
  elseif seen_epoch ~= '' and (seen_epoch ~= meta.epoch or seen_seq > meta.seq) then
    new_epoch(meta, fresh_epoch)
    status = 'new'
  end
  meta.fence = math.max(meta.fence, fence)
  raise_fence()
  keep()
  return reply(status)
elseif op == 'cancel' then
  if not meta then return reply('unknown') end
  if meta.owner ~= owner then return reply('forbidden') end
  if meta.term ~= '' then return reply('ended') end
  raise_fence()
elseif op == 'sweep' then
  if not meta then return reply('unknown') end
  if meta.term ~= '' then return reply('ended') end
  local left = meta.lease - now_ms()
  local plausible = lease_ms == 0 or left <= meta.span + 10 * lease_ms
  if meta.fence ~= fence or (left > 0 and plausible) then return reply('busy') end
  raise_fence()
elseif op == 'resume' then
  if not meta or meta.stage == '' then return reply('unknown') end
  if meta.owner ~= owner then return reply('forbidden') end
  if meta.term ~= '' then return reply('ended') end
  if meta.stage ~= 'receiving' then return reply('stored') end
  raise_fence()
  redis.call('PUBLISH', channel .. ':turn', string.format('%d', meta.fence))
  if A.stage == '' then
    hold()
    keep()
    return reply(rests() and 'paused' or 'ok')
  end
elseif op == 'tell' then
  if not meta or claimed_only() then return reply('unknown') end
  if A.producer ~= '' and meta.producer ~= A.producer then return reply('forbidden') end
  if fence ~= meta.fence then return reply('stale') end
  if meta.term ~= '' then return reply('ended') end
  if seen_seq > 0 and seen_seq ~= meta.seq then return reply('skip') end
  if lease_ms == 0 then lease_ms = meta.span end
  local fast = too_fast(tonumber(A.rate) or 0)
  if fast > 0 then return reply('fast', fast) end
  if nonce ~= '' then meta.op = nonce end
  local same = meta.stage == A.stage and A.terminal ~= '1' and tonumber(A.sp) < 100
  local shown = same and tonumber(redis.call('HGET', META, 'shown') or 0) or 0
  local early = meta.ts + interval_ms(shown) - now_ms()
  if same and early > 0 then
    hold()
    keep()
    return reply('merged', early)
  end
  shown = same and shown + 1 or 0
  redis.call('HSET', META, 'shown', shown)
  next_wait = interval_ms(shown)
elseif op == 'revive' then
  if meta and (meta.stage ~= '' or meta.term ~= '') then return reply('in_use') end
  if meta and meta.owner ~= owner then return reply('forbidden') end
  meta = meta or new_meta(fresh_epoch, owner)
  raise_fence()
else -- next, renew, note: by the present writer
  if meta and fence < meta.fence then return reply('stale') end
  if op ~= 'next' then
    if not meta then return reply('unknown') end
    if meta.term ~= '' then return reply('ended') end
    if op == 'note' then
      redis.call('HSET', META, A.result_field, A.result)
    else
      hold()
    end
    keep()
    return reply('ok')
  end
  if meta and fence == meta.fence and n <= meta.n then return reply('dup') end
  if meta and meta.term ~= '' then return reply('ended') end
  if not meta then
    meta = new_meta(fresh_epoch, owner)
    meta.fence, meta.n, status = fence, n - 1, 'new'
  elseif fence > meta.fence or n > meta.n + 1 then
    new_epoch(meta, fresh_epoch)
    meta.fence, meta.n, status = fence, n - 1, 'new'
  end
end

-- ---- the event, and the one that follows it

if A.tags ~= '' then meta.tags = A.tags end
if op ~= 'tell' then meta.n = meta.n + 1 end
hold()
if A.result_field ~= '' then redis.call('HSET', META, A.result_field, A.result) end
if A.about ~= '' then redis.call('HSET', META, 'about', A.about) end

local frames = {}

local function append(stage, rank, lo, hi, sp, head, middle, tail, terminal, first, stage_tail)
  rank, lo, hi, sp = tonumber(rank), tonumber(lo), tonumber(hi), tonumber(sp)
  if stage_tail ~= '' then
    tail = tail .. (meta.stage ~= '' and meta.stage or 'receiving') .. stage_tail
  end

  local shown = meta.rank == rank and meta.stage == stage
  local again = not terminal and (rank < meta.rank or (shown and (first or meta.sp == 100)))
  if again then return end

  if shown and not terminal then sp = math.max(sp, meta.sp) end
  local p = progress_of(stage, sp, lo, hi, meta.p)

  meta.seq = meta.seq + 1
  meta.ts = math.max(meta.ts, now_ms())
  meta.stage, meta.rank, meta.p, meta.sp = stage, rank, p, sp
  if terminal then meta.term = stage end

  local seq = string.format('%d', meta.seq)
  local frame = frame_of(meta.epoch, seq, meta.ts, string.format('%d', p), string.format('%d', sp),
    meta.tags, head, middle, tail)
  redis.call('XADD', LOG, seq .. '-0', 'f', frame)
  frames[#frames + 1] = (terminal and '1' or '0') .. frame
end

append(A.stage, A.rank, A.lo, A.hi, A.sp, A.head, A.middle, A.tail,
  A.terminal == '1', A.first == '1', A.stage_tail)
if A.then_stage ~= '' then
  append(A.then_stage, A.then_rank, A.then_lo, A.then_hi, A.then_sp, A.then_head, A.then_middle,
    A.then_tail, false, false, '')
end
keep()
for i = 1, #frames do redis.call('PUBLISH', channel, frames[i]) end
if A.listed_channel ~= '' then redis.call('PUBLISH', A.listed_channel, A.listed_id) end
if A.queued_id ~= '' then
  enqueue({ unpack(KEYS, 3) }, { A.queued_id, A.queued_ttl_s, A.queued_channel, '0', A.queued_owner,
    A.queued_head_start, A.queued_lease_ms, '' })
end
if #frames == 0 then return reply('skip') end
return reply(status, next_wait)
