-- use: load a session, or change fields of it, or neither; each renews its idle time.
-- KEYS   1 S (see create)
-- ARGV   1 ttl_ms without a use  2 what the keys of users in this partition begin with  3 data_max (bytes)  4 `all` to be told everything
--        5.. op, field, value: `is` it must have this value · `no` it must be absent · `set` · `del` · `add` a whole number
-- REPLY  {'OK', now, version, {results of `add`}, {field, value, .. of all of S}} · {'GONE'} expired, deleted, revoked, rotated, never there
--        {'CHANGED', field, value or nil} an `is` or `no` did not hold · {'LARGE', bytes} · {'COUNT', field} no whole number, or
--        beyond 2^53 · {'DAMAGED'} no session. Whatever is not OK has changed nothing.
-- No write is made to a key that is not there, and all of them keep or set its TTL: no session becomes immortal.
local S, first = KEYS[1], ARGV[6]
-- The first field of a change is read along: mostly it is the only one.
local head = redis.call('HMGET', S, '=a', '=v', '=n', '=u', '=e', '.' .. (first or ''))
local deadline, version, bytes, user = tonumber(head[1]), tonumber(head[2]), tonumber(head[3]), head[4]
if not deadline or not version or not bytes then
  if redis.call('EXISTS', S) == 0 then return {'GONE'} end
  return {'DAMAGED'}
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if now >= deadline or user and redis.call('HGET', ARGV[2] .. user, '=e') ~= (head[5] or '') then
  redis.call('UNLINK', S)
  return {'GONE'}
end
local before, after, results = {}, {}, {}
if first then before[first], after[first] = head[6], head[6] end
for i = 5, #ARGV, 3 do
  local op, field, value = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if before[field] == nil then
    before[field] = redis.call('HGET', S, '.' .. field)
    after[field] = before[field]
  end
  local current = after[field]
  if op == 'is' and current ~= value or op == 'no' and current then return {'CHANGED', field, before[field]} end
  if op == 'set' then after[field] = value end
  if op == 'del' then after[field] = false end
  if op == 'add' then
    local sum = string.match(current or '0', '^-?%d+$') and tonumber(current or '0') + tonumber(value)
    if not sum or math.abs(sum) > 9007199254740991 then return {'COUNT', field} end
    after[field] = string.format('%.0f', sum)
    results[#results + 1] = after[field]
  end
end
local total = bytes
for field, value in pairs(after) do
  if before[field] then total = total - #field - #before[field] end
  if value then total = total + #field + #value end
end
if total > tonumber(ARGV[3]) and total > bytes then return {'LARGE', total} end
-- A store that is full refuses the first write that needs room. So a change that stores something begins with that, and is
-- refused as a whole; and a use that stores nothing begins with what needs no room, and is not refused.
local record, stores = {'=s', now}, false
if first then
  version = version + 1
  record = {'=s', now, '=v', version, '=n', total}
  for field, value in pairs(after) do
    if value then
      stores = true
      -- Of what one call of Lua takes, a part.
      if #record > 1000 then
        redis.call('HSET', S, unpack(record))
        record = {}
      end
      record[#record + 1], record[#record + 2] = '.' .. field, value
    end
  end
end
if stores then redis.call('HSET', S, unpack(record)) end
for field, value in pairs(after) do
  if not value then redis.call('HDEL', S, '.' .. field) end
end
redis.call('PEXPIRE', S, math.min(tonumber(ARGV[1]), deadline - now))
if not stores then redis.call('HSET', S, unpack(record)) end
return {'OK', now, version, results, ARGV[4] == 'all' and redis.call('HGETALL', S) or {}}
