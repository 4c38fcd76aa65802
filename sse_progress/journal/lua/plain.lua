-- The shortest way through append.lua, for nine of ten events: one more of the stage that its
-- journal is in, by the writer that wrote the last, with nothing else to change. Whatever is not so is
-- left to append.lua, which does the same with such an event: it only takes longer, since it makes
-- functions and tables that this needs not. Numbers are compared as the texts that they are in Redis.
-- Arguments behind `tags` are sent by those calls alone that change more: the order of APPEND_OPTIONAL.

if A.op == 'next' and #ARGV <= AT.tags then
  local kept = redis.call('HMGET', META, 'fence', 'span', 'stage', 'rank', 'term', 'tags', 'n', 'sp',
    'ts', 'seq', 'p', 'epoch')
  local n, sp_before, ts_before = tonumber(A.n), kept[8], kept[9]
  if kept[1] == A.fence and kept[2] == A.lease_ms and kept[3] == A.stage and kept[4] == A.rank and
    kept[5] == '' and (A.tags == '' or A.tags == kept[6]) and kept[7] + 1 == n and
    sp_before ~= '100' and math.floor(ts_before / 3600000) == math.floor(now_ms() / 3600000) then
    local seq, ts = kept[10] + 1, math.max(ts_before + 0, now_ms())
    local sp = math.max(tonumber(A.sp), sp_before + 0)
    local p = progress_of(A.stage, sp, tonumber(A.lo), tonumber(A.hi), kept[11] + 0)
    local seq_text, sp_text = string.format('%d', seq), string.format('%d', sp)
    local p_text, ts_text = string.format('%d', p), string.format('%d', ts)
    local lease_ms = tonumber(A.lease_ms)
    local lease = lease_ms > 0 and string.format('%d', now_ms() + lease_ms) or '0'
    local frame = frame_of(kept[12], seq_text, ts, p_text, sp_text, kept[6], A.head, A.middle, A.tail)
    redis.call('XADD', LOG, seq_text .. '-0', 'f', frame)
    if sp_text == sp_before and p_text == kept[11] then
      redis.call('HSET', META, 'seq', seq_text, 'n', A.n, 'ts', ts_text, 'lease', lease)
    else
      redis.call('HSET', META, 'seq', seq_text, 'n', A.n, 'ts', ts_text, 'lease', lease,
        'p', p_text, 'sp', sp_text)
    end
    redis.call('PUBLISH', A.channel, '0' .. frame)
    return { 'ok', kept[12], seq, tonumber(A.fence), '', 0 }
  end
end
