-- The sliding window counter: a hash of w (the window's number), c (requests in it) and p (requests in the one before).
local sliding = {}

function sliding.read(key, limit, window, now, delta, at)
  local v = ours(redis.pcall('HMGET', key, 'w', 'c', 'p'), key)
  local w, stored = math.floor(now / window), tonumber(v[1])
  local c, p = tonumber(v[2]) or 0, tonumber(v[3]) or 0
  if stored and stored < w then
    if stored == w - 1 then p = c else p = 0 end
    c = 0
  end -- a stored window yet to come: the clock went back, as in a failover. The count goes with it, so that no window opens twice
  if delta ~= 0 then
    local admitted = math.floor(at / window)
    if admitted >= w then c = math.max(0, c + delta) elseif admitted == w - 1 then p = math.max(0, p + delta) end
  end
  local into = now - w * window
  return {a = c, b = p, c = 0, w = w, into = into, limit = limit, window = window, changed = delta ~= 0 or (stored and stored > w)}
end

function sliding.fits(s, cost) return s.b * (s.window - s.into) <= (s.limit - s.a - cost) * s.window end

function sliding.write(key, s, cost)
  s.a = s.a + cost
  redis.call('HSET', key, 'w', s.w, 'c', s.a, 'p', s.b)
  redis.call('PEXPIRE', key, math.ceil((2 * s.window - s.into) / 1000))
end
