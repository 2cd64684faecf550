-- Removes items from a timeline, and remembers for a while that they were.
--
-- KEYS  1 items: sorted set of items by position
--       2 gone: sorted set of items by when they were removed, in ms
-- ARGV  1 how long to remember, in ms; 0: not at all
--       2 how many to remember at most
--       3.. items
-- REPLY {how many were there}

local removed = 0
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for at = 3, #ARGV do
  removed = removed + redis.call('ZREM', KEYS[1], ARGV[at])
  if ARGV[1] ~= '0' then redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[at]) end
end
if ARGV[1] ~= '0' then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - ARGV[1]))
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[2] - 1)
  redis.call('PEXPIRE', KEYS[2], ARGV[1])
end
return {removed}
