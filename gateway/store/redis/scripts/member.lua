-- A change of a shared set. KEYS: the set (a hash), the hash of all sets and when they last changed.
-- ARGV: the set's name, a member, and what is known of it; without that it is removed. Answers whether it was there.
local was
if ARGV[3] then
  was = 1 - redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
else
  was = redis.call('HDEL', KEYS[1], ARGV[2])
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[2], ARGV[1], time[1] * 1000000 + time[2])
return was
