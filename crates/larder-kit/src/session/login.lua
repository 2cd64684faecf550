-- login: a login of a user begins; what ends all sessions before it is done ends it as well.
-- KEYS   1 U (see create)
-- ARGV   1 how long a login may take, ms  2 candidate epoch, for a user without one
-- REPLY  the user's epoch
redis.call('HSETNX', KEYS[1], '=e', ARGV[2])
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[1])))
return redis.call('HGET', KEYS[1], '=e')
