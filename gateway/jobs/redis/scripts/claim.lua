-- ARGV: room, lease, token, whether to reclaim, the reason of what is buried; then for each type: its name, room, attempts, rate, concurrency.
-- Answers {jobs, buried, seconds until more may be due, or ''}, each job as its hash.
local now = tick()
local all, lease, token, reclaims = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1'
local claimed, buried, wait = {}, {}, nil

local function sooner(seconds)
  if not wait or seconds < wait then wait = seconds end
end

-- How many may be claimed, and how long until the rate lets one more.
local function room_for(type, room, rate, concurrency)
  if redis.call('SISMEMBER', P .. 'paused', type) == 1 then return 0, 0 end
  if concurrency > 0 then room = math.min(room, concurrency - redis.call('ZCARD', key('active', type))) end
  if rate == 0 then return room, 0 end
  local most, bucket = math.max(1, rate), P .. 'bucket:' .. type
  local known = redis.call('HMGET', bucket, 'full', 'at')
  local full = known[1] and math.min(most, known[1] + (now - known[2]) * rate) or most
  redis.call('HSET', bucket, 'full', full, 'at', now)
  return math.min(room, math.floor(full)), full >= 1 and 0 or (1 - full) / rate
end

for n = 6, #ARGV, 5 do
  local type, attempts, rate = ARGV[n], tonumber(ARGV[n + 2]), tonumber(ARGV[n + 3])
  redis.call('HSET', P .. 'wanted', type, now)
  if reclaims then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('active', type), '-inf', now, 'LIMIT', 0, AT_ONCE)) do
      redis.call('HDEL', job(id), 'token')
      move(id, type, 'active', 'queued', now)
    end
  end
  promote(type, now)
  local room, pause = room_for(type, math.min(all - #claimed, tonumber(ARGV[n + 1])), rate, tonumber(ARGV[n + 4]))
  local begun, left = 0, true
  while left and (begun < room or pause > 0) do
    left = false
    for _, id in ipairs(redis.call('ZRANGE', key('queued', type), 0, math.max(1, room - begun) - 1)) do
      if tonumber(redis.call('HGET', job(id), 'attempt')) >= attempts then
        redis.call('HSET', job(id), 'reason', string.format(ARGV[5], attempts))
        move(id, type, 'queued', 'dead', now)
        buried[#buried + 1] = redis.call('HGETALL', job(id))
        left = true
      elseif begun < room then
        redis.call('HSET', job(id), 'token', token)
        redis.call('HINCRBY', job(id), 'attempt', 1)
        move(id, type, 'queued', 'active', now, now + lease)
        claimed[#claimed + 1] = redis.call('HGETALL', job(id))
        begun = begun + 1
      else
        sooner(pause)
        left = false
        break
      end
    end
  end
  if rate > 0 and begun > 0 then redis.call('HINCRBYFLOAT', P .. 'bucket:' .. type, 'full', -begun) end
  local due = redis.call('ZRANGE', key('delayed', type), 0, 0, 'WITHSCORES')[2]
  if due then sooner(math.max(0, due - now)) end
end
return {claimed, buried, wait and tostring(wait) or ''}
