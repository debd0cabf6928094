-- What was purged after ARGV[1]. KEYS: as in purge.lua; its f is when it began: it may have been lost, and what was purged before with it.
-- Answers marks and when, by turns.
if redis.call('EXISTS', KEYS[1]) == 0 then
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[1], math.max(time[1] * 1000000 + time[2], ARGV[1] + 1), 'f') -- later than what is known, if the clock went back
end
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES')
