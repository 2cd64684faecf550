-- incr: add to a counter, which gets its TTL in the same step when it is created.
-- KEYS   1 C: a plain integer, as INCRBY keeps it
-- ARGV   1 delta (may be negative)  2 ttl_ms (0 = never expires)
-- REPLY  the value after it, as a decimal string: a Lua number would lose digits beyond 2^53
-- INCRBY and a separate PEXPIRE would leave an immortal counter if the caller died in between.
-- A later step does not move the expiry: the counter counts from its first step on.
local existed = redis.call('EXISTS', KEYS[1])
redis.call('INCRBY', KEYS[1], ARGV[1])
if existed == 0 and ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('GET', KEYS[1])
