-- rotate: a session under another id; the old one is dead with the same step.
-- KEYS   1 S under the new id (see create)  2.. S under the old id, then under ids of earlier attempts whose answer was lost
-- ARGV   1 ttl_ms without a use  2 what the keys of users in this partition begin with  3.. refs, in the order of KEYS
-- REPLY  {'OK', now} · {'GONE'} (see use)
-- An attempt whose answer was lost may have moved it: whichever of the names it has by now, it gets the new one.
for i = 2, #KEYS do
  local head = redis.call('HMGET', KEYS[i], '=a', '=u', '=e', '=c')
  local deadline, user = tonumber(head[1]), head[2]
  if deadline then
    local t = redis.call('TIME')
    local now = t[1] * 1000 + math.floor(t[2] / 1000)
    if now >= deadline or user and redis.call('HGET', ARGV[2] .. user, '=e') ~= (head[3] or '') then
      redis.call('UNLINK', KEYS[i])
      return {'GONE'}
    end
    redis.call('RENAME', KEYS[i], KEYS[1])
    if user then
      redis.call('HDEL', ARGV[2] .. user, '.' .. ARGV[i + 1])
      redis.call('HSET', ARGV[2] .. user, '.' .. ARGV[3], head[4])
    end
    redis.call('HSET', KEYS[1], '=s', now)
    redis.call('PEXPIRE', KEYS[1], math.min(tonumber(ARGV[1]), deadline - now))
    return {'OK', now}
  end
end
return {'GONE'}
