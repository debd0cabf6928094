-- ARGV: lease, token, ids. Answers those that are not the token's any more.
local now = tick()
local lost = {}
for n = 3, #ARGV do
  local known = redis.call('HMGET', job(ARGV[n]), 'token', 'type')
  if known[1] == ARGV[2] then
    redis.call('ZADD', key('active', known[2]), now + ARGV[1], ARGV[n])
  else
    lost[#lost + 1] = ARGV[n]
  end
end
return lost
