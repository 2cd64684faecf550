#!lua flags=allow-oom
-- wbdead: put a change that the source refuses for good among the dead letters, and out of what waits, in one step.
-- KEYS   1 D  2 Z  3 W  4 X
-- ARGV   1 key  2 version16 (all of a record that is shorter)  3 capacity  4 id under which it lies in X  5 why (text)
--        6 the id if another letter has that one: two records have one version only where one is damaged
-- REPLY  1 done | 2 done, under the other id | 0 the key has another version by now, which is due | -1 no room: it stays where it is
-- Letter in X: died_ms f64, key_len u32, record_len u32, key, record, why.
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return 0 end
if string.sub(record, 1, 16) ~= ARGV[2] then
  redis.call('ZADD', KEYS[2], '0', ARGV[1])
  return 0
end
if redis.call('HLEN', KEYS[4]) >= tonumber(ARGV[3]) then return -1 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local id, done = ARGV[4], 1
if redis.call('HEXISTS', KEYS[4], id) == 1 then id, done = ARGV[6], 2 end
redis.call('HSET', KEYS[4], id,
  struct.pack('>d', now) .. struct.pack('>I4', #ARGV[1]) .. struct.pack('>I4', #record) .. ARGV[1] .. record .. ARGV[5])
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HEXISTS', KEYS[3], 'wbytes') == 1 then
  redis.call('HINCRBY', KEYS[3], 'wbytes', string.format('%.0f', -(#ARGV[1] + #record)))
end
return done
