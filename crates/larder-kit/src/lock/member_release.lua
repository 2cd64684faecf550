#!lua flags=allow-oom
-- member_release: gives back one lease among several: a permit, or a reader's.
-- KEYS   1 zset: token -> expiry in ms
-- ARGV   1 token16
-- REPLY  1 released | 0 not held any more
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mine = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
if mine and tonumber(mine) > now then return 1 end
return 0
