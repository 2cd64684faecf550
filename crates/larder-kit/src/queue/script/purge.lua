-- Removes jobs that wait, or dead letters, so many at a time.
-- KEYS  1 the queue's stem
-- ARGV  1 waiting | dead  2 how many at most
-- REPLY how many were removed
local left, count = tonumber(ARGV[2]), 0
local function drop(ids)
  for _, id in ipairs(ids) do count = count + remove(id) end
end
if ARGV[1] == 'dead' then
  drop(redis.call('ZRANGE', DEAD, 0, left - 1))
  return count
end
local parked = {} -- before those whose turn it is, so that nobody comes up meanwhile
for _, member in ipairs(redis.call('ZRANGE', PARKED, 0, left - 1)) do
  redis.call('ZREM', PARKED, member)
  parked[#parked + 1] = string.sub(member, string.find(member, '\0', 1, true) + 17)
end
drop(parked)
drop(redis.call('ZRANGE', WAIT, 0, left - count - 1))
drop(redis.call('ZRANGE', LATER, 0, left - count - 1))
return count
