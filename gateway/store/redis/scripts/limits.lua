-- One request under some limits: counted in all of them or in none. Each limit first takes over what was counted elsewhere.
-- KEYS: one for each limit. ARGV: 1 to count or 0 to look; then for each key: its algorithm, limit, window, what was counted elsewhere
-- (below 0: given back) and when, what the request costs; of a calendar's: begin, end and the end of the next period, too.
-- Answers {counted, now, and for each key: whether it fits, and three numbers of its state}. All times in microseconds.
local algorithms = {s = sliding, l = log, t = token_bucket, f = fixed, c = fixed}
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local states, answer, all, n = {}, {0, now}, true, 2
for i, key in ipairs(KEYS) do
  local name = ARGV[n]
  local limit, window, delta, at, cost =
    tonumber(ARGV[n + 1]), tonumber(ARGV[n + 2]), tonumber(ARGV[n + 3]), tonumber(ARGV[n + 4]), tonumber(ARGV[n + 5])
  n = n + 6
  local bounds
  if name == 'c' then
    bounds = {tonumber(ARGV[n]), tonumber(ARGV[n + 1]), tonumber(ARGV[n + 2])}
    n = n + 3
  end
  local algorithm = algorithms[name]
  local state = algorithm.read(key, limit, window, now, delta, at, bounds)
  state.algorithm, state.cost = algorithm, cost
  state.fit = algorithm.fits(state, cost)
  all = all and state.fit
  states[i] = state
end
for i, state in ipairs(states) do
  if writes and all and state.cost > 0 then
    state.algorithm.write(KEYS[i], state, state.cost)
    answer[1] = 1
  elseif writes and state.changed then
    state.algorithm.write(KEYS[i], state, 0)
  end
  local place = #answer
  answer[place + 1], answer[place + 2], answer[place + 3], answer[place + 4] = state.fit and 1 or 0, state.a, state.b, state.c
end
return answer
