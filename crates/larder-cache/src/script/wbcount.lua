-- wbcount: add to a counter, and have the source told later: once in effect, however often it is told.
-- KEYS   1 N: what waits of counters  2 Y: when each is due  3 W  4 C: the counter, a plain integer  5 O  (as wbput)
-- ARGV   1 key  2 delta (may be negative)  3 ttl_ms of C (0 = never expires)  4 delay_ms until due  5 gen
--        6 max_count  7 max_bytes (0 = no cap)  8 op_ttl_ms  9 kind: 3 sum, 4 total  10 the key in full, where ARGV 1 is its digest
-- REPLY  OK value epoch seq now | DUP value epoch seq now | NEED_EPOCH epoch now | FULL count bytes now
--        value is a decimal string: a Lua number would lose digits beyond 2^53
-- Record in N, under `epoch:key`: epoch f64, seq f64, since_ms f64, kind u8, series f64, full_len u32, full, total (decimal).
-- A series begins with the first step after the source was told everything; its total is what was added since.
local function int(x) return string.format('%.0f', x) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local done = redis.call('GET', KEYS[5])
if done and #done > 16 then
  local epoch, seq = struct.unpack('>dd', done)
  return {'DUP', string.sub(done, 17), int(epoch), int(seq), int(now)}
end
local w = redis.call('HMGET', KEYS[3], 'wgen', 'wepoch', 'wbytes')
if w[1] ~= ARGV[5] then return {'NEED_EPOCH', w[2] or '0', int(now)} end
local field = w[2] .. ':' .. ARGV[1]
local old = redis.call('HGET', KEYS[1], field)
local count, bytes = redis.call('HLEN', KEYS[1]), tonumber(w[3] or '0')
local max_count, max_bytes = tonumber(ARGV[6]), tonumber(ARGV[7])
local room = #field + 57 + #ARGV[10] -- a total has at most 20 digits
if not old and ((max_count > 0 and count >= max_count) or (max_bytes > 0 and bytes + room > max_bytes)) then
  return {'FULL', int(count), int(bytes), int(now)}
end

-- What may overflow comes first, so that an error has changed nothing. HINCRBY adds all digits.
local total
if ARGV[9] == '3' then
  local before = '0'
  if old then before = string.sub(old, 38 + struct.unpack('>I4', old, 34)) end
  redis.call('HSET', KEYS[1], '', before)
  local added = redis.pcall('HINCRBY', KEYS[1], '', ARGV[2])
  total = redis.call('HGET', KEYS[1], '')
  redis.call('HDEL', KEYS[1], '')
  if type(added) == 'table' then return added end
end
local existed = redis.call('EXISTS', KEYS[4])
redis.call('INCRBY', KEYS[4], ARGV[2])
if existed == 0 and ARGV[3] ~= '0' then redis.call('PEXPIRE', KEYS[4], ARGV[3]) end
local value = redis.call('GET', KEYS[4])
total = total or value

local seq = redis.call('HINCRBY', KEYS[3], 'wseq', 1)
local version = struct.pack('>dd', tonumber(w[2]), seq)
local since, series = struct.pack('>d', now), struct.pack('>d', seq)
if old then since, series = string.sub(old, 17, 24), string.sub(old, 26, 33) end
local record = version .. since .. string.char(tonumber(ARGV[9])) .. series .. struct.pack('>I4', #ARGV[10]) .. ARGV[10] .. total
redis.call('HSET', KEYS[1], field, record)
redis.call('ZADD', KEYS[2], 'NX', int(now + tonumber(ARGV[4])), field)
redis.call('HINCRBY', KEYS[3], 'wbytes', int(#record - (old and #old or -#field)))
redis.call('SET', KEYS[5], version .. value, 'PX', ARGV[8])
return {'OK', value, int(tonumber(w[2])), int(seq), int(now)}
