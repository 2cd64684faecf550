-- wbdraw: before an epoch is drawn from SQL, name the W that it is drawn for: a W that is lost takes its name with it.
-- KEYS   1 W
-- ARGV   1 name8 (random), in case it has none
-- REPLY  the name that it has
redis.call('HSETNX', KEYS[1], 'wname', ARGV[1])
return redis.call('HGET', KEYS[1], 'wname')
