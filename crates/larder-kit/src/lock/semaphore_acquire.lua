-- semaphore_acquire: one of so many permits, each a lease of its own.
-- KEYS   1 Z zset: token -> expiry in ms
-- ARGV   1 token16 (new for every attempt)  2 ttl_ms  3 replaces16 (token of the attempt repeated; zero bytes if none)  4 permits
-- REPLY  1 0 pttl_ms now | 0 pttl_ms now (all taken; the time is the first one's)
local function int(x) return string.format('%.0f', x) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', int(now))
local mine = redis.call('ZSCORE', KEYS[1], ARGV[1])
if mine then return {1, 0, int(mine - now), int(now)} end -- the same request again: nothing is renewed
redis.call('ZREM', KEYS[1], ARGV[3]) -- my own lost attempt: this one takes its place
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then
  local first = redis.call('ZRANGE', KEYS[1], '0', '0', 'WITHSCORES')[2]
  return {0, int(first - now), int(now)}
end
redis.call('ZADD', KEYS[1], int(now + ARGV[2]), ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], '-1', '-1', 'WITHSCORES')[2]
redis.call('PEXPIRE', KEYS[1], int(last - now))
return {1, 0, tonumber(ARGV[2]), int(now)}
