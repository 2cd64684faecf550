-- Pauses the queue for every worker, or lets them go on.
-- KEYS  1 the queue's stem
-- ARGV  1 pause | resume
-- REPLY 1 changed, 0 it was so
if ARGV[1] == 'pause' then return redis.call('SETNX', Q .. ':paused', int(now)) end
local was = redis.call('DEL', Q .. ':paused')
wake()
return was
