-- ARGV: type, and 1 to pause it or 0 to resume it. Answers all that are paused.
if ARGV[2] == '1' then redis.call('SADD', P .. 'paused', ARGV[1]) end
if ARGV[2] == '0' then
  redis.call('SREM', P .. 'paused', ARGV[1])
  wake()
end
return redis.call('SMEMBERS', P .. 'paused')
