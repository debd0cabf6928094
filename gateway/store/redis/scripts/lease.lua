-- Leases: a sorted set of holders by when their leases end, in microseconds.
-- KEYS[1]; ARGV: the most holders, how long a lease lasts, who asks. Answers 1 when it may go on.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local held = redis.pcall('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if type(held) == 'table' then redis.call('DEL', KEYS[1]) end -- nothing of ours
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) and not redis.call('ZSCORE', KEYS[1], ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[2] * 2 / 1000))
return 1
