-- ARGV: state, type or ''. Forgets some of the jobs in the state, and answers how many: to be asked until that is 0.
local now = tick()
local purged = 0
for _, type in ipairs(ARGV[2] == '' and redis.call('SMEMBERS', P .. 'types') or {ARGV[2]}) do
  promote(type, now)
  for _, id in ipairs(redis.call('ZRANGE', key(ARGV[1], type), 0, AT_ONCE - 1)) do
    forget(id, type, ARGV[1])
    purged = purged + 1
  end
end
return purged
