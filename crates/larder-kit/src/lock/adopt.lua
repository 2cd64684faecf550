-- lock_adopt: a lock whose token was handed on gets a token that only its new owner knows, and its full ttl.
-- KEYS   1 L (lock)  2 F (fence), same hash tag
-- ARGV   1 token16 (new for every attempt)  2 ttl_ms  3 from16 (the token handed on)  4 replaces16 (token of the attempt repeated; zero bytes if none)
-- REPLY  1 fence pttl_ms now | 0 now (held by neither)
local function int(x) return string.format('%.0f', x) end
local time = redis.call('TIME')
local now = int(time[1] * 1000 + math.floor(time[2] / 1000))
local cur = redis.call('GET', KEYS[1])
if not cur or #cur <= 16 then return {0, now} end
local holder, fence = string.sub(cur, 1, 16), string.sub(cur, 17)
if holder ~= ARGV[3] and holder ~= ARGV[4] then return {0, now} end
-- The fence's TTL first: a full store refuses a SET, unless something that needs no room was written before it.
local keep = math.max(tonumber(ARGV[2]) * 10, 86400000)
if redis.call('PEXPIRE', KEYS[2], int(keep)) == 0 then redis.call('SET', KEYS[2], fence, 'PX', int(keep)) end
redis.call('SET', KEYS[1], ARGV[1] .. fence, 'PX', ARGV[2])
return {1, fence, tonumber(ARGV[2]), now}
