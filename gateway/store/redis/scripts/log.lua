-- The log: a list of the times of the last requests, the newest first.
local log = {}

function log.read(key, limit, window, now, delta, at)
  local length = ours(redis.pcall('LLEN', key), key)
  if type(length) ~= 'number' then length = 0 end
  local expired = 0
  while expired < length do -- times yet to come, after a clock that went back, count as now
    local oldest = tonumber(redis.call('LINDEX', key, -1 - expired))
    if oldest and oldest > now - window then break end
    expired = expired + 1
  end
  local s = {used = length - expired, expired = expired, limit = limit, window = window, now = now, changed = delta ~= 0}
  s.key, s.a, s.b, s.c = key, s.used, 0, 0
  if s.used > 0 then s.b = math.min(now, tonumber(redis.call('LINDEX', key, -1 - expired)) or now) end
  if delta < 0 then log.remove(s, -delta, at) else s.pushed = math.min(delta, limit) end
  return s
end

-- From the one nearest to `at` to older ones: it is near the head, for a request lasts shorter than most windows.
function log.remove(s, n, at)
  local nearest, least
  for index = 0, s.used - 1 do
    local distance = math.abs(tonumber(redis.call('LINDEX', s.key, index)) - at)
    if least and distance > least then break end
    if not least or distance < least then nearest, least = index, distance end
  end
  for _ = 1, math.min(n, s.used) do
    redis.call('LSET', s.key, nearest, '')
    redis.call('LREM', s.key, 1, '')
    s.used = s.used - 1
    nearest = math.min(nearest, s.used - 1)
  end
  s.pushed, s.a = 0, s.used
end

function log.fits(s, cost)
  local room = s.limit - s.used - s.pushed
  if room >= cost then return true end
  local index = s.expired + cost - room - 1 -- counted from the oldest: with this one gone there is room
  s.c = math.min(s.now, tonumber(redis.call('LINDEX', s.key, -1 - index)) or s.now)
  return false
end

function log.write(key, s, cost)
  if s.expired > 0 then redis.call('LTRIM', key, 0, -1 - s.expired) end
  for _ = 1, s.pushed + cost do redis.call('LPUSH', key, s.now) end
  redis.call('LTRIM', key, 0, s.limit - 1)
  redis.call('PEXPIRE', key, math.ceil(s.window / 1000))
  s.a = math.min(s.limit, s.used + s.pushed + cost)
  if s.used == 0 then s.b = s.now end
end
