-- The end of a lease on a key. KEYS: the lease. ARGV: its holder, the channel, what those who wait for it are told.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end
return 1
