-- list: the sessions of a user. Those that ended are taken off the list.
-- KEYS   1 U (see create)
-- ARGV   1 what the keys of the user's sessions begin with
-- REPLY  {ref, created, last used, absolute deadline, ..} in ms of the server's clock
local reply = {}
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  local ref = string.match(name, '^%.(.*)$')
  local head = ref and redis.call('HMGET', ARGV[1] .. ref, '=c', '=s', '=a')
  if head and head[1] then
    for _, part in ipairs({ref, head[1], head[2], head[3]}) do reply[#reply + 1] = part end
  elseif ref then
    redis.call('HDEL', KEYS[1], name)
  end
end
return reply
