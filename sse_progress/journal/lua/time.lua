-- First in every script of the journal. KEYS[1] is the upload's meta hash, KEYS[2] its log.

local META, LOG = KEYS[1], KEYS[2]

local NOW, NOW_US

local function now_ms()
  if not NOW then
    local t = redis.call('TIME')
    NOW_US = t[1] * 1000000 + t[2] -- exact up to 2^53, the year 2255
    NOW = math.floor(NOW_US / 1000)
  end
  return NOW
end

local function now_us()
  now_ms()
  return NOW_US
end

-- Milliseconds since 1970 as RFC 3339 in UTC. Days to a date: count in 400-year eras of 146097 days
-- that begin on the first of March, so that the leap day is the last day of its year.
-- (a - a % b) / b is whole, and without the call that math.floor is: each event needs it.
local function rfc3339(ms)
  local of_day = ms % 86400000
  local days = (ms - of_day) / 86400000 + 719468
  local doe = days % 146097
  local leap_days = (doe - doe % 1460) / 1460 - (doe - doe % 36524) / 36524 +
    (doe - doe % 146096) / 146096
  local yoe = (doe - leap_days - (doe - leap_days) % 365) / 365
  local doy = doe - (365 * yoe + (yoe - yoe % 4) / 4 - (yoe - yoe % 100) / 100)
  local mp = (5 * doy + 2 - (5 * doy + 2) % 153) / 153
  local before = 153 * mp + 2 -- days of the months before, times 5
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + (days - doe) / 146097 * 400 + (month <= 2 and 1 or 0)
  local of_hour, of_minute = of_day % 3600000, of_day % 60000
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month,
    doy - (before - before % 5) / 5 + 1, (of_day - of_hour) / 3600000,
    (of_hour - of_minute) / 60000, (of_minute - of_minute % 1000) / 1000, ms % 1000)
end
