-- wbletters: some of the dead letters, without what they were to write. Writes nothing.
-- KEYS   1 X
-- ARGV   ids under which they lie in X
-- REPLY  for each that is there and whole: id, died_ms f64, key, kind u8 (nothing of a damaged record), bytes of the record, why
local out = {}
for _, id in ipairs(ARGV) do
  local letter = redis.call('HGET', KEYS[1], id)
  if letter and #letter >= 16 then
    local key_len, record_len = struct.unpack('>I4', letter, 9), struct.unpack('>I4', letter, 13)
    local record_at = 17 + key_len
    local why_at = record_at + record_len
    if why_at <= #letter + 1 then
      out[#out + 1] = id
      out[#out + 1] = string.sub(letter, 1, 8)
      out[#out + 1] = string.sub(letter, 17, record_at - 1)
      out[#out + 1] = string.sub(letter, record_at + 24, math.min(record_at + 24, why_at - 1))
      out[#out + 1] = string.format('%.0f', record_len)
      out[#out + 1] = string.sub(letter, why_at)
    end
  end
end
return out
