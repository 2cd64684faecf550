-- limit_gcra: in every closed interval of length w at most burst + floor(w / interval); the default.
-- KEYS   1 number (theoretical arrival time, us)  [2 request key]
-- ARGV   1 interval_us between admissions = ceil(period_us / rate), integer >= 1  2 burst (integer >= 1)  3 cost (integer >= 1)
-- REPLY  allowed 1|0  remaining  retry_after_us (-1 never)  reset_after_us  now_us
-- Needs no max(TIME, last): after a step back it only denies longer. What is owed is at most a whole burst: more is left of a step
-- back, or of other limits, and is written down as a burst, for it would stay more as long as every call is denied.
local function int(x) return string.format('%.0f', x) end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') or 0, now)
if tat > now + burst * interval then
  tat = now + burst * interval
  redis.call('SET', KEYS[1], int(tat), 'PX', int(math.ceil((tat - now) / 1000)), 'XX')
end
local room = burst * interval - (tat - now)
local left = math.max(0, math.floor(room / interval))
if KEYS[2] and redis.call('EXISTS', KEYS[2]) == 1 then return {1, int(left), '0', int(tat - now), int(now)} end
local need = cost * interval
if need > room then return {0, int(left), cost > burst and '-1' or int(need - room), int(tat - now), int(now)} end
local new = tat + need
local px = int(math.ceil((new - now) / 1000))
redis.call('SET', KEYS[1], int(new), 'PX', px)
if KEYS[2] then redis.call('SET', KEYS[2], '1', 'PX', px) end
return {1, int(math.floor((room - need) / interval)), '0', int(new - now), int(now)}
