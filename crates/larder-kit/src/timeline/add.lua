-- Adds items to a timeline, or moves one to its front.
--
-- KEYS  1 items: sorted set of items by position
--       2 gone: sorted set of items by when they were removed, in ms
-- ARGV  1 keep ms after this write; 0: for ever
--       2 capacity: the most items that are kept, the newest
--       3 add: an item that is there, or was removed, is left; touch: it comes to the front, by the server's clock in us
--       4.. item, position (whole, below 2^53; touch: ignored), in turn
-- REPLY {added or moved, there already, removed before, older than all that is kept}

local added, known, removed, old = 0, 0, 0, 0

local function front()
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local newest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
  if newest[2] and tonumber(newest[2]) >= now then now = newest[2] + 1 end
  return string.format('%.0f', now)
end

local function put(item, position)
  redis.call('ZADD', KEYS[1], position, item)
  if redis.call('ZCARD', KEYS[1]) > tonumber(ARGV[2]) and redis.call('ZPOPMIN', KEYS[1])[1] == item then
    old = old + 1
  else
    added = added + 1
  end
end

for at = 4, #ARGV, 2 do
  local item, position = ARGV[at], ARGV[at + 1]
  if ARGV[3] == 'touch' then
    redis.call('ZREM', KEYS[2], item)
    put(item, front())
  elseif redis.call('ZSCORE', KEYS[2], item) then
    removed = removed + 1
  elseif redis.call('ZSCORE', KEYS[1], item) then
    known = known + 1
  else
    put(item, position)
  end
end
if ARGV[1] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {added, known, removed, old}
