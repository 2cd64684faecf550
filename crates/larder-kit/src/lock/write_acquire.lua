-- write_acquire: the one writer, while nobody reads; a writer who waits keeps new readers out.
-- KEYS   1 W (writer)  2 F (fence)  3 R zset of readers: token -> expiry in ms  4 Q (a writer waits), same hash tag
-- ARGV   1 token16 (new for every attempt)  2 ttl_ms  3 replaces16 (token of the attempt repeated; zero bytes if none)
--        4 for how long in ms it counts as waiting if it is not granted; 0 if it does not wait
-- REPLY  1 fence pttl_ms now | 0 pttl_ms now (another writes, or somebody reads)
local function int(x) return string.format('%.0f', x) end
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local now = math.floor(us / 1000)
local function busy(left)
  if ARGV[4] ~= '0' then redis.call('SET', KEYS[4], '1', 'PX', ARGV[4]) end
  return {0, int(left), int(now)}
end
local cur = redis.call('GET', KEYS[1])
if cur and #cur > 16 then
  local holder, fence = string.sub(cur, 1, 16), string.sub(cur, 17)
  if holder == ARGV[1] then return {1, fence, redis.call('PTTL', KEYS[1]), int(now)} end -- the same request again: nothing is renewed
  if holder ~= ARGV[3] then return busy(redis.call('PTTL', KEYS[1])) end
  redis.call('SET', KEYS[1], ARGV[1] .. fence, 'PX', ARGV[2]) -- my own lost attempt: new token, its fence was never used
  return {1, fence, tonumber(ARGV[2]), int(now)}
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', int(now))
local last = redis.call('ZRANGE', KEYS[3], '-1', '-1', 'WITHSCORES')[2]
if last then return busy(last - now) end
local fence = math.max((tonumber(redis.call('GET', KEYS[2]) or '0') or 0) + 1, us)
local keep = math.max(tonumber(ARGV[2]) * 10, 86400000)
redis.call('SET', KEYS[2], int(fence), 'PX', int(keep))
redis.call('SET', KEYS[1], ARGV[1] .. int(fence), 'PX', ARGV[2])
redis.call('DEL', KEYS[4]) -- whoever else waits says so again
return {1, int(fence), tonumber(ARGV[2]), int(now)}
