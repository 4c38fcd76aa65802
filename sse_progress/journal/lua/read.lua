-- Read a journal's head and a range of it in one step; claim the id where asked to.
-- A (see journal/scripts.py): owner ('' asks for no ownership check) claim epoch claim_ttl_s
--   after_epoch after_seq limit about
-- Reply: {found, epoch, seq, owner, term, fence, lease, span, created, changed, stage, unknown, last frame,
--         frames, now, about, producer, tags}; times in ms
-- frames: those after the position; of a journal that was shortened the last one alone
-- found: 0 nothing, 1 there. A foreign owner learns nothing but that.

local owner, claim, epoch = A.owner, A.claim == '1', A.epoch
local after_epoch, after_seq, limit = A.after_epoch, tonumber(A.after_seq), tonumber(A.limit)

local meta = load_meta()
if not meta then
  if not claim then return { 0 } end
  meta = new_meta(epoch, owner)
  save_meta(meta)
  redis.call('EXPIRE', META, A.claim_ttl_s)
end
if owner ~= '' and meta.owner ~= owner then return { 1, '', 0, meta.owner } end

local reset = after_epoch ~= '' and (after_epoch ~= meta.epoch or after_seq > meta.seq)
local frames, last = {}, ''
if meta.seq > 0 then
  local tip = redis.pcall('XREVRANGE', LOG, '+', '-', 'COUNT', 1)
  local short = tip.err ~= nil  -- it is a string: shorten.lua
  if short then
    last = redis.call('GET', LOG)
  elseif tip[1] then
    last = tip[1][2][2]
  end
  if limit > 0 and not reset and after_seq < meta.seq then
    if short then
      frames[1] = last
    else
      local entries = redis.call('XRANGE', LOG, string.format('(%d-0', after_seq), '+', 'COUNT', limit)
      for i, entry in ipairs(entries) do frames[i] = entry[2][2] end
    end
  end
end
return { 1, meta.epoch, meta.seq, meta.owner, meta.term, meta.fence, meta.lease, meta.span,
  meta.created, meta.ts, meta.stage, reset and 1 or 0, last, frames, now_ms(),
  A.about == '1' and redis.call('HGET', META, 'about') or '', meta.producer, meta.tags }
