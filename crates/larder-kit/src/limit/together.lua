-- limit_together: several limits of one subject, all or nothing; or a look at what a call would be told.
-- KEYS   for each limit: its key [its request key]
-- ARGV   1 check | peek  2 cost  3 keys per limit: 1 | 2  and for each limit: kind  its two arguments
-- REPLY  for each limit: allowed 1|0  remaining  retry_after_us (-1 never)  reset_after_us  now_us
-- In front of this text stand the scripts of the kinds as they are, each in `kinds[name] = function(redis, KEYS, ARGV) .. end`.
-- They run twice: first with what they write left out, then, if all of them allow the call, for good.
local redis, time = redis, redis.call('TIME')
-- What a script may do while nothing is decided: read, take away what has lapsed, and lower a debt that is there (SET .. XX).
local reads = {GET = true, EXISTS = true, ZRANGE = true, ZCARD = true, ZCOUNT = true, ZREMRANGEBYSCORE = true}
local function harmless(name, ...) return reads[name] or name == 'SET' and select(select('#', ...), ...) == 'XX' end
local function server(writes)
  return {call = function(name, ...)
    if name == 'TIME' then return time end
    if writes or harmless(name, ...) then return redis.call(name, ...) end
  end}
end
local per = tonumber(ARGV[3])
local function run(writes)
  local replies, all = {}, true
  for i = 1, #KEYS / per do
    local at = 3 * i + 1
    local reply = kinds[ARGV[at]](server(writes), {unpack(KEYS, per * (i - 1) + 1, per * i)}, {ARGV[at + 1], ARGV[at + 2], ARGV[2]})
    all = all and reply[1] == 1
    for _, item in ipairs(reply) do replies[#replies + 1] = item end
  end
  return replies, all
end
local replies, all = run(false)
if all and ARGV[1] == 'check' then replies = run(true) end
return replies
