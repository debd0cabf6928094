-- The token bucket (GCRA): a hash of t (a time) and d (what was missing then, in tokens times window; `limit` come back a microsecond).
local token_bucket = {}

function token_bucket.read(key, limit, window, now, delta)
  local v = ours(redis.pcall('HMGET', key, 't', 'd'), key)
  local t, d = tonumber(v[1]) or now, tonumber(v[2]) or 0
  -- A time yet to come: the clock went back, and stood still for us. More than twice all that can be missing is nothing of ours.
  d = math.min(math.max(0, d - math.max(0, now - t) * limit), 2 * limit * window)
  d = math.max(0, d + delta * window)
  return {a = d, b = 0, c = 0, limit = limit, window = window, now = now, changed = delta ~= 0 or t > now}
end

function token_bucket.fits(s, cost) return s.a + cost * s.window <= s.limit * s.window end

function token_bucket.write(key, s, cost)
  s.a = s.a + cost * s.window
  redis.call('HSET', key, 't', s.now, 'd', s.a)
  redis.call('PEXPIRE', key, math.ceil(s.a / s.limit / 1000) + 1)
end
