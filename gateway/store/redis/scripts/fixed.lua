-- Periods: a hash of b (where it begins) and c (requests in it). `window` is its length; of the calendar: begin, end and the end after.
local fixed = {}

function fixed.read(key, limit, window, now, delta, at, bounds)
  local v = ours(redis.pcall('HMGET', key, 'b', 'c'), key)
  local b, c = tonumber(v[1]) or 0, tonumber(v[2]) or 0
  local first, last
  if bounds then
    first, last = bounds[1], bounds[2]
    if now >= last then first, last = last, bounds[3] end
  else
    first = now - now % window
    last = first + window
  end
  if b < first then c = 0 end -- one yet to come: the clock went back, and the count goes with it
  if at >= first then c = math.max(0, c + delta) end
  return {a = c, b = first, c = last, limit = limit, now = now, changed = delta ~= 0 or b > first}
end

function fixed.fits(s, cost) return s.a + cost <= s.limit end

function fixed.write(key, s, cost)
  s.a = s.a + cost
  redis.call('HSET', key, 'b', s.b, 'c', s.a)
  redis.call('PEXPIRE', key, math.ceil((s.c - s.now) / 1000) + 1)
end
