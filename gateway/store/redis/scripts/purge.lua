-- A purge. KEYS: a sorted set of marks by when they were last purged. ARGV: the channel, the most marks, then marks, each after an h (hard)
-- or s (soft). Answers when: in microseconds, and later than any before, though the clock went back.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if last[2] then now = math.max(now, tonumber(last[2]) + 1) else redis.call('ZADD', KEYS[1], now - 1, 'f') end
for n = 3, #ARGV do redis.call('ZADD', KEYS[1], now, ARGV[n]) end
local over = redis.call('ZCARD', KEYS[1]) - ARGV[2]
if over > 0 then
  local gone = redis.call('ZPOPMIN', KEYS[1], over)
  redis.call('ZADD', KEYS[1], gone[#gone], 'f') -- what is older than the last of those that were forgotten is not known to be valid
end
redis.call('PUBLISH', ARGV[1], 'p')
return now
