-- Sets a schedule. The same one again leaves its ticks alone, so that every process may set it at its start.
-- KEYS  1 the queue's stem
-- ARGV  1 name  2 spec  3 payload  4 the first tick, due ms  5 schedules at most
-- REPLY 1 set, 0 it was as it is, -1 there are too many
local old = redis.call('HGET', SPECS, ARGV[1])
if not old and redis.call('HLEN', SPECS) >= tonumber(ARGV[5]) then return -1 end
redis.call('HSET', BODIES, ARGV[1], ARGV[3])
if old == ARGV[2] and redis.call('ZSCORE', TICKS, ARGV[1]) then return 0 end
redis.call('HSET', SPECS, ARGV[1], ARGV[2])
local head = redis.call('ZRANGE', TICKS, 0, 0, 'WITHSCORES')[2]
redis.call('ZADD', TICKS, ARGV[4], ARGV[1])
if not head or tonumber(ARGV[4]) < tonumber(head) then wake() end
return 1
