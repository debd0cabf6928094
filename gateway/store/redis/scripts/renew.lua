-- The leases of those who still hold them. KEYS: sorted sets as in lease.lua; ARGV: how long a lease lasts, then a holder for each key.
local time = redis.call('TIME')
local ends = time[1] * 1000000 + time[2] + ARGV[1]
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, ends, ARGV[i + 1])
  redis.call('PEXPIRE', key, math.ceil(ARGV[1] * 2 / 1000))
end
return #KEYS
