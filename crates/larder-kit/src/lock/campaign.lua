-- campaign: the leader's lease, with the leader's name for others to read.
-- KEYS   1 E (leader: token16, term, ':', name)  2 F (fence), same hash tag
-- ARGV   1 token16 (new for every attempt)  2 ttl_ms  3 replaces16 (token of the attempt repeated; zero bytes if none)  4 name
-- REPLY  1 term pttl_ms now | 0 pttl_ms now (another leads)
local function int(x) return string.format('%.0f', x) end
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local now = int(math.floor(us / 1000))
local cur = redis.call('GET', KEYS[1])
if cur and #cur > 16 then
  local holder, term = string.sub(cur, 1, 16), string.match(cur, '^%d+', 17)
  if holder == ARGV[1] then return {1, term, redis.call('PTTL', KEYS[1]), now} end -- the same request again: nothing is renewed
  if holder ~= ARGV[3] then return {0, redis.call('PTTL', KEYS[1]), now} end
  redis.call('SET', KEYS[1], ARGV[1] .. term .. ':' .. ARGV[4], 'PX', ARGV[2]) -- my own lost attempt: new token, its term was never used
  return {1, term, tonumber(ARGV[2]), now}
end
local term = math.max((tonumber(redis.call('GET', KEYS[2]) or '0') or 0) + 1, us)
local keep = math.max(tonumber(ARGV[2]) * 10, 86400000)
redis.call('SET', KEYS[2], int(term), 'PX', int(keep))
redis.call('SET', KEYS[1], ARGV[1] .. int(term) .. ':' .. ARGV[4], 'PX', ARGV[2])
return {1, int(term), tonumber(ARGV[2]), now}
