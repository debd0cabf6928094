-- "I am here." KEYS: a sorted set of gateways, a hash of shared sets and when they last changed. ARGV: who, how long that is believed.
-- Answers {now, how many gateways there are, the hash}. Times in microseconds.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + ARGV[2], '+inf') -- the clock went back
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[2] * 2 / 1000))
return {now, redis.call('ZCARD', KEYS[1]), redis.call('HGETALL', KEYS[2])}
