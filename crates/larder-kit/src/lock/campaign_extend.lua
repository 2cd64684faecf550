-- campaign_extend: a leader goes on leading.
-- KEYS   1 E (leader: token16, term, ':', name)  2 F (fence), same hash tag
-- ARGV   1 token16  2 ttl_ms
-- REPLY  1 term ttl_ms now | 0 now (another leads, or nobody)
local function int(x) return string.format('%.0f', x) end
local time = redis.call('TIME')
local now = int(time[1] * 1000 + math.floor(time[2] / 1000))
local cur = redis.call('GET', KEYS[1])
if not cur or string.sub(cur, 1, 16) ~= ARGV[1] then return {0, now} end
local term = string.match(cur, '^%d+', 17)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local keep = math.max(tonumber(ARGV[2]) * 10, 86400000)
if redis.call('PEXPIRE', KEYS[2], int(keep)) == 0 then redis.call('SET', KEYS[2], term, 'PX', int(keep)) end
return {1, term, tonumber(ARGV[2]), now}
