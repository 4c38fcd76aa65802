-- What append.lua and plain.lua make of an event: its progress, and its frame.

-- Progress of the whole at `sp` percent of a stage that has lo to hi; `before` is what was shown last.
local function progress_of(stage, sp, lo, hi, before)
  local p = math.min(hi, lo + math.floor(sp * (hi - lo + 1) / 100))
  if stage == 'error' or stage == 'cancelled' then return p end
  return math.max(p, before)
end

-- seq, p and sp are whole numbers as text.
local function frame_of(epoch, seq, ts, p, sp, tags, head, middle, tail)
  return 'id: ' .. epoch .. '-' .. seq .. '\ndata: ' .. head .. p .. middle .. rfc3339(ts) ..
    '","stageProgress":' .. sp .. (tags ~= '' and ',' .. tags or '') .. tail .. '\n\n'
end
