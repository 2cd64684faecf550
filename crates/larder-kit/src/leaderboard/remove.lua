-- Takes members off a board.
--
-- KEYS  1 order: sorted set of <stamp>:<member> by score
--       2 stamps: hash of member to stamp
-- ARGV  1 from, 2 until: the window in ms since 1970; until 0: there are no windows
--       3 some | all
--       4.. members, of some
-- REPLY {1, how many were on it}; {0, now ms}: the window is not open, nothing was done

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] ~= '0' and (now < tonumber(ARGV[1]) or now >= tonumber(ARGV[2])) then return {0, now} end

local removed = 0
if ARGV[3] == 'all' then removed = redis.call('ZCARD', KEYS[1]) end
for at = 4, #ARGV do
  local stamp = redis.call('HGET', KEYS[2], ARGV[at])
  if stamp then
    removed = removed + redis.call('ZREM', KEYS[1], stamp .. ':' .. ARGV[at])
    redis.call('HDEL', KEYS[2], ARGV[at])
  end
end
if ARGV[3] == 'all' or redis.call('EXISTS', KEYS[1]) == 0 then redis.call('UNLINK', KEYS[1], KEYS[2]) end
return {1, removed}
