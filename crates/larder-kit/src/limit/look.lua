-- limit_look: the limits in force, where they were changed at run time.
-- KEYS   1 configuration
-- ARGV   1 ttl_ms: renewed when less than half of it is left
-- REPLY  `<revision> <limits as JSON>` | nil: those of the program
local text = redis.call('GET', KEYS[1])
if text and redis.call('PTTL', KEYS[1]) < ARGV[1] / 2 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return text
