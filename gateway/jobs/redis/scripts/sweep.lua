-- ARGV: seconds to keep payloads, done jobs, dead ones; most dead ones of a type; patience; the reason of what is parked.
-- Answers {parked, dropped}.
local now = tick()
local parked, dropped = 0, 0

local function older(state, type, seconds)
  return redis.call('ZRANGEBYSCORE', key(state, type), '-inf', now - seconds, 'LIMIT', 0, AT_ONCE)
end

for _, type in ipairs(redis.call('SMEMBERS', P .. 'types')) do
  for _, id in ipairs(older('payload', type, ARGV[1])) do
    redis.call('ZREM', key('payload', type), id)
    redis.call('HDEL', job(id), 'payload')
  end
  for _, id in ipairs(older('done', type, ARGV[2])) do forget(id, type, 'done') end
  for _, id in ipairs(older('dead', type, ARGV[3])) do
    forget(id, type, 'dead')
    dropped = dropped + 1
  end
  local over = math.min(redis.call('ZCARD', key('dead', type)) - ARGV[4], AT_ONCE)
  for _, id in ipairs(over > 0 and redis.call('ZRANGE', key('dead', type), 0, over - 1) or {}) do
    forget(id, type, 'dead')
    dropped = dropped + 1
  end
  promote(type, now)
  if now - (redis.call('HGET', P .. 'wanted', type) or 0) >= tonumber(ARGV[5]) then
    for _, id in ipairs(redis.call('ZRANGE', key('queued', type), 0, AT_ONCE - 1)) do
      if now - redis.call('HGET', job(id), 'run_at') >= tonumber(ARGV[5]) then
        redis.call('HSET', job(id), 'reason', ARGV[6])
        move(id, type, 'queued', 'parked', now)
        parked = parked + 1
      end
    end
  end
end
return {parked, dropped}
