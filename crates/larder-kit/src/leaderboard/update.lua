-- Scores of members. A score keeps the stamp of when it was reached: of two equal ones the first reached is ahead.
--
-- KEYS  1 order: sorted set of <stamp>:<member> by score
--       2 stamps: hash of member to stamp; its field \0 counts the stamps given
-- ARGV  1 from, 2 until: the window in ms since 1970; until 0: there are no windows
--       3 keep ms after this write, or after the window; 0: for ever
--       4 set | best | add
--       5 1: high scores first; 0: low ones
--       6.. member, number (a double as text), in turn
-- REPLY {1, score, changed 0|1, rank from 0} for one member, {1, changed} for several
--       {0, now ms}: the window is not open; {2}: the score would not be finite; {3}: one of the keys is missing.
--       Nothing was done then.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] ~= '0' and (now < tonumber(ARGV[1]) or now >= tonumber(ARGV[2])) then return {0, now} end
if redis.call('EXISTS', KEYS[1]) ~= redis.call('EXISTS', KEYS[2]) then return {3} end

local high = ARGV[5] == '1'
local function score_of(stamp, member)
  return tonumber(redis.call('ZSCORE', KEYS[1], stamp .. ':' .. member))
end
local function not_better(score, old)
  return high and score <= old or not high and score >= old
end
-- High scores are read from the end, where equal ones stand in falling order of their stamps.
local function next_stamp()
  local count = redis.call('HINCRBY', KEYS[2], '\0', 1)
  return string.format('%016.0f', high and 9007199254740991 - count or count)
end

local score, changed, stamp = 0, 0, false
for at = 6, #ARGV, 2 do
  local member = ARGV[at]
  stamp = redis.call('HGET', KEYS[2], member)
  local old = stamp and score_of(stamp, member)
  score = tonumber(ARGV[at + 1])
  if old and ARGV[4] == 'add' then score = old + score end
  if old and ARGV[4] == 'best' and not_better(score, old) then score = old end
  if score - score ~= 0 then return {2} end
  if score ~= old then
    if old then redis.call('ZREM', KEYS[1], stamp .. ':' .. member) end
    stamp = next_stamp()
    redis.call('ZADD', KEYS[1], string.format('%.17g', score), stamp .. ':' .. member)
    redis.call('HSET', KEYS[2], member, stamp)
    changed = changed + 1
  end
end

if ARGV[3] ~= '0' then
  local after = ARGV[2] == '0' and now or tonumber(ARGV[2])
  local expires = string.format('%.0f', after + tonumber(ARGV[3]))
  redis.call('PEXPIREAT', KEYS[1], expires)
  redis.call('PEXPIREAT', KEYS[2], expires)
end
if #ARGV > 7 then return {1, changed} end
local rank = redis.call(high and 'ZREVRANK' or 'ZRANK', KEYS[1], stamp .. ':' .. ARGV[6])
return {1, string.format('%.17g', score), changed, rank}
