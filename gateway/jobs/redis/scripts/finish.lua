-- ARGV: token; then for each job: id, state, delay, reason, result, attempts that do not count, number of notes, and their names and values.
-- Answers those that are not the token's any more.
local now = tick()
local lost, n = {}, 2
while n <= #ARGV do
  local id, state, notes = ARGV[n], ARGV[n + 1], tonumber(ARGV[n + 6])
  local known = redis.call('HMGET', job(id), 'token', 'type')
  if known[1] == ARGV[1] then
    local type = known[2]
    redis.call('HDEL', job(id), 'token')
    redis.call('HSET', job(id), 'reason', ARGV[n + 3], 'result', ARGV[n + 4])
    if ARGV[n + 5] ~= '0' then redis.call('HINCRBY', job(id), 'attempt', -ARGV[n + 5]) end
    move(id, type, 'active', state, now + ARGV[n + 2])
    if state == 'done' then redis.call('ZADD', key('payload', type), now, id) end
    if state == 'queued' then wake() end
    for m = n + 7, n + 5 + 2 * notes, 2 do redis.call('HSET', job(id), 'note:' .. ARGV[m], ARGV[m + 1]) end
  else
    lost[#lost + 1] = id
  end
  n = n + 7 + 2 * notes
end
return lost
