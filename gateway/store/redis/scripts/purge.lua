-- A purge. KEYS: as in epochs.lua. ARGV: the channel, the most marks, the highest number that who purges knows of, then marks, each after
-- an h (hard) or an s (soft). Answers when: in microseconds, and later than any before, though the clock went back.
local time = redis.call('TIME')
local now = math.max(time[1] * 1000000 + time[2], ARGV[3] + 1)
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if last[2] then now = math.max(now, last[2] + 1) else redis.call('ZADD', KEYS[1], now - 1, 'f') end
for n = 4, #ARGV do redis.call('ZADD', KEYS[1], now, ARGV[n]) end
local over = redis.call('ZCARD', KEYS[1]) - ARGV[2]
if over > 0 then
  local gone = redis.call('ZPOPMIN', KEYS[1], over)
  redis.call('ZADD', KEYS[1], gone[#gone], 'f') -- what is older than the last of those that were forgotten is not known to be valid
end
redis.call('PUBLISH', ARGV[1], 'p')
return now
