-- Ends a schedule; jobs that it made stay.
-- KEYS  1 the queue's stem
-- ARGV  1 name
-- REPLY 1, or 0: there was none
redis.call('HDEL', BODIES, ARGV[1])
redis.call('HDEL', SPECS, ARGV[1])
return redis.call('ZREM', TICKS, ARGV[1])
