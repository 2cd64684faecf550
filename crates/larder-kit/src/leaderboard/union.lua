-- Several boards as they are at one moment, for the caller to merge.
--
-- KEYS  1.. order: sorted sets of <stamp>:<member> by score
-- ARGV  1 from, 2 until: the window in ms since 1970; until 0: there are no windows
--       3 the most entries to give, of all boards together
-- REPLY {1, entries, {<stamp>:<member>, score, ..}, ..}, a list per board
--       {2, entries}: there are more; {0, now ms}: the window is not open

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] ~= '0' and (now < tonumber(ARGV[1]) or now >= tonumber(ARGV[2])) then return {0, now} end

local total = 0
for _, board in ipairs(KEYS) do total = total + redis.call('ZCARD', board) end
if total > tonumber(ARGV[3]) then return {2, total} end
local reply = {1, total}
for _, board in ipairs(KEYS) do reply[#reply + 1] = redis.call('ZRANGE', board, 0, -1, 'WITHSCORES') end
return reply
