-- read_acquire: one reader more, unless somebody writes or waits to write.
-- KEYS   1 W (writer)  2 R zset of readers: token -> expiry in ms  3 Q (a writer waits), same hash tag
-- ARGV   1 token16 (new for every attempt)  2 ttl_ms  3 replaces16 (token of the attempt repeated; zero bytes if none)
-- REPLY  1 0 pttl_ms now | 0 pttl_ms now (a writer's)
local function int(x) return string.format('%.0f', x) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', int(now))
local mine = redis.call('ZSCORE', KEYS[2], ARGV[1])
if mine then return {1, 0, int(mine - now), int(now)} end -- the same request again: nothing is renewed
local again = redis.call('ZREM', KEYS[2], ARGV[3]) == 1 -- my own lost attempt was granted: this one takes its place
local writer = redis.call('PTTL', KEYS[1])
if writer ~= -2 then return {0, writer, int(now)} end
local waiting = redis.call('PTTL', KEYS[3])
if waiting ~= -2 and not again then return {0, waiting, int(now)} end
redis.call('ZADD', KEYS[2], int(now + ARGV[2]), ARGV[1])
local last = redis.call('ZRANGE', KEYS[2], '-1', '-1', 'WITHSCORES')[2]
redis.call('PEXPIRE', KEYS[2], int(last - now))
return {1, 0, tonumber(ARGV[2]), int(now)}
