-- create: a new session, anonymous or of a user.
-- KEYS   1 S (hash): `=c` created, `=s` last used, `=a` absolute deadline (all ms of the server's clock), `=v` changes so far,
--          `=n` bytes of data, of a user's also `=u` the user and `=e` the user's epoch; `.<field>` data
--        2 U (hash), of a user's alone: `=e` the user's epoch, `.<ref>` when the session of that reference was created
-- ARGV   1 ref of the session  2 ttl_ms without a use  3 absolute_ms  4 data_max (bytes)  5 candidate epoch, for a user without one
--        6 epoch of the login, '' for none  7 max sessions  8 `end` the oldest when full, or `refuse`
--        9 what the keys of the user's sessions begin with  10 the user  11.. field, value, ..
-- REPLY  {'OK', now, deadline} · {'LARGE', bytes} · {'LOGIN'} the login was begun before a revocation, or too long ago · {'FULL'}
-- A session stands as long as its epoch is its user's: whatever is lost, evicted or overtaken, no session outlives that.
local unused, absolute = tonumber(ARGV[2]), tonumber(ARGV[3])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local bytes = 0
for i = 11, #ARGV do bytes = bytes + #ARGV[i] end
if bytes > tonumber(ARGV[4]) then return {'LARGE', bytes} end
local record = {'=c', now, '=s', now, '=a', now + absolute, '=v', 0, '=n', bytes}
if KEYS[2] then
  local epoch = redis.call('HGET', KEYS[2], '=e')
  if ARGV[6] ~= '' and ARGV[6] ~= epoch then return {'LOGIN'} end
  if redis.call('HLEN', KEYS[2]) > tonumber(ARGV[7]) then
    local listed, live = redis.call('HGETALL', KEYS[2]), {}
    for i = 1, #listed, 2 do
      local ref = string.match(listed[i], '^%.(.*)$')
      if ref and redis.call('EXISTS', ARGV[9] .. ref) == 1 then
        live[#live + 1] = {tonumber(listed[i + 1]), ref}
      elseif ref then
        redis.call('HDEL', KEYS[2], listed[i])
      end
    end
    table.sort(live, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
    local over = #live + 1 - tonumber(ARGV[7])
    if over > 0 and ARGV[8] == 'refuse' then return {'FULL'} end
    for i = 1, over do
      redis.call('UNLINK', ARGV[9] .. live[i][2])
      redis.call('HDEL', KEYS[2], '.' .. live[i][2])
    end
  end
  epoch = epoch or ARGV[5]
  redis.call('HSET', KEYS[2], '=e', epoch, '.' .. ARGV[1], now)
  redis.call('PEXPIRE', KEYS[2], math.max(redis.call('PTTL', KEYS[2]), absolute))
  record[11], record[12], record[13], record[14] = '=u', ARGV[10], '=e', epoch
end
redis.call('HSET', KEYS[1], unpack(record))
for i = 11, #ARGV, 2 do redis.call('HSET', KEYS[1], '.' .. ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], math.min(unused, absolute))
return {'OK', now, now + absolute}
