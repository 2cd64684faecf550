-- wblag: how much waits to be flushed, and since when. Writes nothing.
-- KEYS   1 D  2 Z  3 W  4 X  5 N  6 Y
-- ARGV   none
-- REPLY  entries bytes dead since_ms now (decimal strings; since_ms 0: nothing waits)
-- since_ms is that of the oldest among the first and last four by due time: those that wait longest are due, or taken.
local function int(x) return string.format('%.0f', x) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local since = 0
local function look(map, keys)
  for _, key in ipairs(keys) do
    local record = redis.call('HGET', map, key)
    if record and #record >= 24 then
      local at = struct.unpack('>d', record, 17)
      if since == 0 or at < since then since = at end
    end
  end
end
local entries = 0
for i = 1, 5, 4 do
  local n = redis.call('HLEN', KEYS[i])
  entries = entries + n
  if n > 0 then
    look(KEYS[i], redis.call('ZRANGE', KEYS[i + 1], '0', '3'))
    look(KEYS[i], redis.call('ZREVRANGE', KEYS[i + 1], '0', '3'))
  end
end
return {int(entries), redis.call('HGET', KEYS[3], 'wbytes') or '0', int(redis.call('HLEN', KEYS[4])), int(since), int(now)}
