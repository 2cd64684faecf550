-- lock_raise: every later fence is above one that was seen elsewhere, such as in a database.
-- KEYS   1 F (fence)
-- ARGV   1 fence  2 ttl_ms
-- REPLY  the highest fence that is known now
-- It only grows, so that it may be repeated, and come late.
local function int(x) return string.format('%.0f', x) end
local fence = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') or 0, tonumber(ARGV[1]))
local keep = math.max(tonumber(ARGV[2]) * 10, 86400000)
redis.call('SET', KEYS[1], int(fence), 'PX', int(keep))
return int(fence)
