-- Wake idle workers for `count` jobs: as few as have room for them, those with the most room first.
-- A worker is in `idle` from a report in which it had room left until it is woken; one that has not
-- reported since `alive` (ms) is dead. Where none is known, whoever listens is woken: a worker of an
-- earlier release is in no list.
local function wake(idle, workers, channel, count, alive)
  local woken = false
  while count > 0 do
    local found = redis.call('ZPOPMAX', idle)
    if not found[1] then break end
    if tonumber(redis.call('ZSCORE', workers, found[1]) or 0) >= alive then
      redis.call('PUBLISH', channel, found[1])
      count, woken = count - tonumber(found[2]), true
    end
  end
  if not woken then redis.call('PUBLISH', channel, '') end
end

