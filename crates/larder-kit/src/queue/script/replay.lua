-- Dead letters wait again, with all their attempts and without their deadline.
-- KEYS  1 the queue's stem
-- ARGV  1 how many of the oldest at most, or 0: those named  2.. ids
-- REPLY how many
local ids = {}
if tonumber(ARGV[1]) > 0 then
  ids = redis.call('ZRANGE', DEAD, 0, tonumber(ARGV[1]) - 1)
else
  for i = 2, #ARGV do ids[#ids + 1] = ARGV[i] end
end
local count = 0
for _, id in ipairs(ids) do
  if redis.call('ZREM', DEAD, id) == 1 then
    set(id, 'n', 0)
    redis.call('HDEL', job(id), 'dl', 'f', 'prog')
    enter(id, 0, get(id, 'g'))
    count = count + 1
  end
end
return count
