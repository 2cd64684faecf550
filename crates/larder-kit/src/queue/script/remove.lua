-- Removes a job that is not running.
-- KEYS  1 the queue's stem
-- ARGV  1 id
-- REPLY 1, or 0: there is none, or it is running
return remove(ARGV[1])
