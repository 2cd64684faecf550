-- Rank and score of members.
--
-- KEYS  1 order: sorted set of <stamp>:<member> by score
--       2 stamps: hash of member to stamp
-- ARGV  1 from, 2 until: the window in ms since 1970; until 0: there are no windows
--       3 1: high scores first; 0: low ones
--       4.. members
-- REPLY {1, rank from 0 or -1: not on the board, score, ..} in the order of the members
--       {0, now ms}: the window is not open

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] ~= '0' and (now < tonumber(ARGV[1]) or now >= tonumber(ARGV[2])) then return {0, now} end

local reply = {1}
for at = 4, #ARGV do
  local stamp = redis.call('HGET', KEYS[2], ARGV[at])
  local entry = stamp and stamp .. ':' .. ARGV[at]
  local rank = entry and redis.call(ARGV[3] == '1' and 'ZREVRANK' or 'ZRANK', KEYS[1], entry)
  reply[#reply + 1] = rank or -1
  reply[#reply + 1] = rank and redis.call('ZSCORE', KEYS[1], entry) or '0'
end
return reply
