-- What was purged after ARGV[1]. KEYS: a sorted set of marks by when they were last purged. Its member f is since when it knows of all
-- purges: it may have been lost. What is none of ours is replaced. Answers marks and when, by turns.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'zset' then
  if kind ~= 'none' then redis.call('DEL', KEYS[1]) end
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[1], math.max(time[1] * 1000000 + time[2], ARGV[1] + 1), 'f') -- later than what is known, if the clock went back
end
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES')
