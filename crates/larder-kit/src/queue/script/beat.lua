-- Signs of life: each attempt that is still its worker's is left to it for another visibility timeout.
-- KEYS  1 the queue's stem
-- ARGV  1 visibility ms, then for each attempt: id, token, progress 0..1 or ''
-- REPLY for each 1, or 0: it was taken over
local alive = {}
for i = 2, #ARGV, 3 do
  local id = ARGV[i]
  if get(id, 'tok') == ARGV[i + 1] then
    redis.call('ZADD', RUN, int(now + tonumber(ARGV[1])), id)
    if ARGV[i + 2] ~= '' then set(id, 'prog', ARGV[i + 2]) end
    alive[#alive + 1] = 1
  else
    alive[#alive + 1] = 0
  end
end
return alive
