-- revoke: end all sessions of a user, and all logins that were begun; with `keep` one session lives on.
-- KEYS   1 U (see create)
-- ARGV   1 what the keys of the user's sessions begin with  2 ref of the session to keep, '' for none  3 a new epoch
-- REPLY  how many sessions it ended
-- The epoch goes, and with it every session and login that carries it, listed or not. That the listed ones are removed as
-- well only saves memory.
local ended, kept = 0, nil
if redis.call('TYPE', KEYS[1])['ok'] == 'hash' then
  local epoch = redis.call('HGET', KEYS[1], '=e')
  for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
    local ref = string.match(name, '^%.(.*)$')
    if ref and epoch and ref == ARGV[2] and redis.call('HGET', ARGV[1] .. ref, '=e') == epoch then
      kept = {redis.call('HGET', KEYS[1], name), math.max(redis.call('PTTL', KEYS[1]), 1)}
    elseif ref then
      ended = ended + redis.call('UNLINK', ARGV[1] .. ref)
    end
  end
end
redis.call('UNLINK', KEYS[1])
if kept then
  redis.call('HSET', ARGV[1] .. ARGV[2], '=e', ARGV[3])
  redis.call('HSET', KEYS[1], '=e', ARGV[3], '.' .. ARGV[2], kept[1])
  redis.call('PEXPIRE', KEYS[1], kept[2])
end
return ended
