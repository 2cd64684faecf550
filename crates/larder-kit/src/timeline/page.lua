-- Items of a timeline after a place in it, newest first; of one position in falling order of their bytes.
--
-- KEYS  1 items: sorted set of items by position
-- ARGV  1 position of the place; empty: from the front
--       2 item of the place; it need not be there any more
--       3 how many
-- REPLY {item, position, ..}

-- Byte by byte, as sorted sets compare; Lua's own comparison goes by the server's locale.
local function is_less(one, other)
  for at = 1, math.min(#one, #other) do
    local a, b = one:byte(at), other:byte(at)
    if a ~= b then return a < b end
  end
  return #one < #other
end

if ARGV[3] == '0' then return {} end
local first = 0
if ARGV[1] ~= '' then
  first = redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[1], '+inf')
  for _, item in ipairs(redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[1], ARGV[1])) do
    if is_less(item, ARGV[2]) then break end
    first = first + 1
  end
end
return redis.call('ZREVRANGE', KEYS[1], first, first + ARGV[3] - 1, 'WITHSCORES')
