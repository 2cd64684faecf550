-- A piece of a board: from a rank on, or around a member.
--
-- KEYS  1 order: sorted set of <stamp>:<member> by score
--       2 stamps: hash of member to stamp
-- ARGV  1 from, 2 until: the window in ms since 1970; until 0: there are no windows
--       3 1: high scores first; 0: low ones
--       4 page | around
--       5 page: the first rank, from 0; around: the member
--       6 page: how many; around: how many above it, and as many below
-- REPLY {1, members on the board, rank from 0 of the first or -1: no such member, <stamp>:<member>, score, ..}
--       {0, now ms}: the window is not open

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] ~= '0' and (now < tonumber(ARGV[1]) or now >= tonumber(ARGV[2])) then return {0, now} end

local high = ARGV[3] == '1'
local total = redis.call('ZCARD', KEYS[1])
local first, count = tonumber(ARGV[5]), tonumber(ARGV[6])
if ARGV[4] == 'around' then
  local stamp = redis.call('HGET', KEYS[2], ARGV[5])
  local rank = stamp and redis.call(high and 'ZREVRANK' or 'ZRANK', KEYS[1], stamp .. ':' .. ARGV[5])
  if not rank then return {1, total, -1} end
  first = math.max(rank - count, 0)
  count = rank + count + 1 - first
end
local reply = {1, total, first}
if count == 0 then return reply end
local found = redis.call(high and 'ZREVRANGE' or 'ZRANGE', KEYS[1], string.format('%.0f', first),
  string.format('%.0f', first + count - 1), 'WITHSCORES')
for at = 1, #found do reply[at + 3] = found[at] end
return reply
