-- Before every script. KEYS[1] is the prefix of all keys; they share its hash tag, and so their slot.
--   job:ID       hash: a job; its notes are fields note:NAME
--   STATE:TYPE   sorted set of ids. queued: by priority, then time. active: by the end of the lease. Else: by run_at
--   payload:TYPE sorted set of the done ones that have their payload still
--   all          sorted set of ids, by the order of their making
--   types, paused, wanted, bucket:TYPE, dedupe:TYPE:KEY, clock, number, wake
local P = KEYS[1]
local BY_PRIORITY = 1e11  -- more seconds than any time has
local STATES = {'queued', 'delayed', 'active', 'done', 'dead', 'parked'}
local AT_ONCE = 1000      -- jobs that one script changes of a kind, so that nobody waits for it

local function key(state, type) return P .. state .. ':' .. type end
local function job(id) return P .. 'job:' .. id end

local function score(state, priority, at)
  return state == 'queued' and tonumber(priority) * BY_PRIORITY + at or at
end

-- Into another state. `at`: its run_at; `rank`: where it stands in the state's set, if that is another time.
local function move(id, type, from, to, at, rank)
  redis.call('ZREM', key(from, type), id)
  local priority = to == 'queued' and redis.call('HGET', job(id), 'priority') or 0
  redis.call('ZADD', key(to, type), score(to, priority, rank or at), id)
  redis.call('HSET', job(id), 'state', to, 'run_at', at)
end

local function forget(id, type, from)
  redis.call('ZREM', key(from, type), id)
  redis.call('ZREM', key('payload', type), id)
  redis.call('ZREM', P .. 'all', id)
  redis.call('DEL', job(id))
end

local function wake()
  if redis.call('LLEN', P .. 'wake') < 32 then redis.call('LPUSH', P .. 'wake', 1) end
end

-- The time. When the clock is seen to have gone back, all that is dated ahead is moved by as much.
local function tick()
  local time = redis.call('TIME')
  local now = time[1] + time[2] / 1e6
  local back = tonumber(redis.call('GET', P .. 'clock') or 0) - now
  if back > 1 then
    for _, type in ipairs(redis.call('SMEMBERS', P .. 'types')) do
      for _, state in ipairs({'queued', 'delayed', 'active'}) do
        local found = redis.call('ZRANGE', key(state, type), 0, -1, 'WITHSCORES')
        for n = 1, #found, 2 do redis.call('ZADD', key(state, type), found[n + 1] - back, found[n]) end
        if state ~= 'active' then
          for n = 1, #found, 2 do redis.call('HSET', job(found[n]), 'run_at', (found[n + 1] - back) % BY_PRIORITY) end
        end
      end
      local wanted = redis.call('HGET', P .. 'wanted', type)
      if wanted then redis.call('HSET', P .. 'wanted', type, wanted - back) end
      redis.call('HSET', P .. 'bucket:' .. type, 'at', now)
    end
  end
  if math.abs(back) > 0.5 then redis.call('SET', P .. 'clock', now) end
  return now
end

local function promote(type, now)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('delayed', type), '-inf', now, 'LIMIT', 0, AT_ONCE)) do
    move(id, type, 'delayed', 'queued', tonumber(redis.call('HGET', job(id), 'run_at')))
  end
end
