-- One tick of a schedule: exactly one of those who ask makes its job.
-- KEYS  1 the queue's stem
-- ARGV  1 name  2 the tick, due ms  3 spec as read  4 the next tick, due ms  5 priority  6 group, '' none  7 attempts
--       8 nonce  9 jobs at most
-- REPLY {1, id} made; {0, ..} another made it, or the schedule was changed; {-1, jobs} no room: this tick is passed over
local name = ARGV[1]
if tonumber(redis.call('ZSCORE', TICKS, name) or -1) ~= tonumber(ARGV[2]) or redis.call('HGET', SPECS, name) ~= ARGV[3] then
  return {0, 'gone', ''}
end
redis.call('ZADD', TICKS, ARGV[4], name)
return add(name .. '@' .. ARGV[2], redis.call('HGET', BODIES, name), 0, ARGV[5], ARGV[6], '0', ARGV[7], ARGV[8], ARGV[9])
