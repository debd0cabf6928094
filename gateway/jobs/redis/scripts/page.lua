-- ARGV: type or '', state or '', limit, id that the page comes after or ''. Answers jobs, the newest first, each as its hash.
local now = tick()
local limit = tonumber(ARGV[3])
local types = redis.call('SMEMBERS', P .. 'types')
for _, type in ipairs(types) do promote(type, now) end
local below = ARGV[4] == '' and '+inf' or redis.call('ZSCORE', P .. 'all', ARGV[4])
if not below then return {} end

local ids = {}
if ARGV[2] == '' then
  local from = below == '+inf' and below or '(' .. below
  local offset, few = 0, false
  while #ids < limit and not few do
    local some = redis.call('ZREVRANGEBYSCORE', P .. 'all', from, '-inf', 'LIMIT', offset, AT_ONCE)
    for _, id in ipairs(some) do
      if #ids < limit and (ARGV[1] == '' or redis.call('HGET', job(id), 'type') == ARGV[1]) then ids[#ids + 1] = id end
    end
    offset, few = offset + #some, #some < AT_ONCE
  end
else
  local numbers = {}
  for _, type in ipairs(ARGV[1] == '' and types or {ARGV[1]}) do
    for _, id in ipairs(redis.call('ZRANGE', key(ARGV[2], type), 0, -1)) do
      local number = tonumber(redis.call('ZSCORE', P .. 'all', id))
      if below == '+inf' or number < tonumber(below) then
        ids[#ids + 1] = id
        numbers[id] = number
      end
    end
  end
  table.sort(ids, function(one, other) return numbers[one] > numbers[other] end)
end

local found = {}
for n = 1, math.min(limit, #ids) do found[n] = redis.call('HGETALL', job(ids[n])) end
return found
