-- What every script of limits begins with. A value that is not ours, or not of the kind that it should be, is as good as none.
local writes = ARGV[1] == '1'

local function ours(reply, key)
  if type(reply) == 'table' and reply.err then
    if writes then redis.call('DEL', key) end
    return {}
  end
  return reply
end

