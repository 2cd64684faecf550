-- delete: end one session.
-- KEYS   1 S (see create)
-- ARGV   1 ref of the session  2 what the keys of users in this partition begin with  3 version it must have, '' for any
-- REPLY  {'OK'} · {'GONE'} there was none · {'CHANGED'} it has another version: nothing was done
-- What is no session is removed as well: nobody but us has business under this key.
local is = redis.call('TYPE', KEYS[1])['ok']
if is == 'none' then return {'GONE'} end
if is == 'hash' then
  local head = redis.call('HMGET', KEYS[1], '=v', '=u')
  if ARGV[3] ~= '' and head[1] ~= ARGV[3] then return {'CHANGED'} end
  if head[2] then redis.pcall('HDEL', ARGV[2] .. head[2], '.' .. ARGV[1]) end
end
redis.call('UNLINK', KEYS[1])
return {'OK'}
