-- A value changed by whoever knows it, and by nobody else. KEYS: the value.
-- ARGV: what it is, what it shall be, and for how many milliseconds (-1: for good); without these it is removed. Answers whether it was so.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if not ARGV[2] then
  redis.call('DEL', KEYS[1])
elseif ARGV[3] == '-1' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1
