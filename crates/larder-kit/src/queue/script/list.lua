-- Jobs of one state, with all that is known of them.
-- KEYS  1 the queue's stem
-- ARGV  1 wait | later | run | dead | done  2 how many to pass over  3 how many at most
-- REPLY {{id, {field, value..}}..}, the next or the oldest first
local first = tonumber(ARGV[2])
local jobs = {}
for _, id in ipairs(redis.call('ZRANGE', Q .. ':' .. ARGV[1], first, first + tonumber(ARGV[3]) - 1)) do
  local row = redis.call('HGETALL', job(id))
  if #row > 0 then jobs[#jobs + 1] = {id, row} end
end
return jobs
