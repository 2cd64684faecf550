-- member_extend: renews one lease among several: a permit, or a reader.
-- KEYS   1 zset: token -> expiry in ms
-- ARGV   1 token16  2 ttl_ms
-- REPLY  1 0 ttl_ms now | 0 now (lapsed, given back, or lost)
local function int(x) return string.format('%.0f', x) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mine = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not mine or tonumber(mine) <= now then return {0, int(now)} end
-- The TTL first: a full store refuses a ZADD, unless something that needs no room was written before it.
redis.call('PEXPIRE', KEYS[1], int(math.max(redis.call('PTTL', KEYS[1]), ARGV[2])))
redis.call('ZADD', KEYS[1], int(now + ARGV[2]), ARGV[1])
return {1, 0, tonumber(ARGV[2]), int(now)}
