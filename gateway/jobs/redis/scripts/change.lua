-- ARGV: what to do (retry, cancel, adopt, note, get), id or type, the states it leads out of as ' a b ', and what it needs. Answers a number; get: a job's hash.
local what, id, from = ARGV[1], ARGV[2], ARGV[3]
local now = tick()

if what == 'adopt' then
  local adopted = 0
  for _, parked in ipairs(redis.call('ZRANGE', key('parked', id), 0, -1)) do
    if redis.call('HGET', job(parked), 'reason') == ARGV[4] then
      redis.call('HSET', job(parked), 'reason', '')
      move(parked, id, 'parked', 'queued', now)
      wake()
      adopted = adopted + 1
    end
  end
  return adopted
end

local known = redis.call('HMGET', job(id), 'type', 'state', 'payload')
local type, state = known[1], known[2]
if not type then return what == 'get' and {} or 0 end
if what == 'get' then
  promote(type, now)
  return redis.call('HGETALL', job(id))
end
if what == 'note' then
  for n = 4, #ARGV, 2 do redis.call('HSET', job(id), 'note:' .. ARGV[n], ARGV[n + 1]) end
  return 1
end
if not string.find(from, ' ' .. state .. ' ', 1, true) then return 0 end
if what == 'retry' then
  if not known[3] then return 0 end
  redis.call('HSET', job(id), 'reason', '', 'attempt', 0)
  redis.call('ZREM', key('payload', type), id)
  move(id, type, state, 'queued', now)
  wake()
else
  redis.call('HSET', job(id), 'reason', ARGV[4])
  move(id, type, state, 'dead', now)
end
return 1
