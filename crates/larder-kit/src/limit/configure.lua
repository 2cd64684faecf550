-- limit_configure: replaces the limits in force.
-- KEYS   1 configuration
-- ARGV   1 limits as JSON, '' to go back to those of the program  2 ttl_ms  3 revision to replace (0 none), '' any
-- REPLY  1 revision in force now (0 none) | 0 revision found: another than the one to replace
-- A revision is higher than the one before and than the server's clock in us, so it grows also over a loss of the key.
local function int(x) return string.format('%.0f', x) end
local found = tonumber(string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) ')) or 0
if ARGV[3] ~= '' and tonumber(ARGV[3]) ~= found then return {0, int(found)} end
if ARGV[1] == '' then
  redis.call('DEL', KEYS[1])
  return {1, '0'}
end
local time = redis.call('TIME')
local revision = int(math.max(found + 1, time[1] * 1000000 + time[2]))
redis.call('SET', KEYS[1], revision .. ' ' .. ARGV[1], 'PX', ARGV[2])
return {1, revision}
