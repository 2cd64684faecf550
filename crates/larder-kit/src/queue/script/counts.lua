-- How many jobs there are in each state, and for how long the oldest that could run has been waiting.
-- KEYS  1 the queue's stem
-- ARGV  none
-- REPLY {waiting, delayed, parked, running, dead, done, 1 if paused, oldest waiting ms or -1, schedules}
local counts = {}
for _, key in ipairs({WAIT, LATER, PARKED, RUN, DEAD, DONE}) do counts[#counts + 1] = redis.call('ZCARD', key) end
local oldest, from = -1, '-inf'
while true do -- the first of each priority, of which there are 256
  local head = redis.call('ZRANGEBYSCORE', WAIT, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if not head[1] then break end
  oldest = math.max(oldest, now - (tonumber(get(head[1], 'r')) or now))
  from = int((math.floor(tonumber(head[2]) / PLACES) + 1) * PLACES)
end
counts[7], counts[8], counts[9] = redis.call('EXISTS', Q .. ':paused'), oldest, redis.call('HLEN', SPECS)
return counts
