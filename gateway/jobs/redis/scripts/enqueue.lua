-- ARGV: id, type, payload, priority, delay, dedupe, its milliseconds, traceparent, request id, state, reason. Answers {new, id}.
local id, type = ARGV[1], ARGV[2]
if redis.call('EXISTS', job(id)) == 1 then return {0, id} end
if ARGV[6] ~= '' then
  local named = P .. 'dedupe:' .. #type .. ':' .. type .. ':' .. ARGV[6]
  local known = redis.call('GET', named)
  if known and known ~= id then return {0, known} end
  redis.call('SET', named, id, 'PX', ARGV[7])
end
local now = tick()
local delay, state = tonumber(ARGV[5]), ARGV[10]
local number = redis.call('INCR', P .. 'number')
redis.call('HSET', job(id), 'id', id, 'type', type, 'payload', ARGV[3], 'state', state, 'attempt', 0, 'priority', ARGV[4],
  'run_at', now + delay, 'created', now, 'dedupe', ARGV[6], 'reason', ARGV[11],
  'traceparent', ARGV[8], 'request_id', ARGV[9])
redis.call('ZADD', P .. 'all', number, id)
redis.call('SADD', P .. 'types', type)
redis.call('ZADD', key(state, type), score(state, ARGV[4], now + delay), id)
wake()
return {1, id}
