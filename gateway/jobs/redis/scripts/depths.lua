-- Answers {type, state, count, seconds of the oldest} one after the other; what has become due counts as queued.
local now = tick()
local found = {}
local types = redis.call('SMEMBERS', P .. 'types')
table.sort(types)
for _, type in ipairs(types) do
  promote(type, now)
  for _, state in ipairs(STATES) do
    local count = redis.call('ZCARD', key(state, type))
    if count > 0 then
      local since = now
      for _, id in ipairs(redis.call('ZRANGE', key(state, type), 0, 0)) do since = redis.call('HGET', job(id), 'run_at') end
      found[#found + 1] = {type, state, count, tostring(math.max(0, now - since))}
    end
  end
end
return found
