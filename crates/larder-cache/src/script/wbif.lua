-- wbif: the head of `wbput_if`, before the text of wbput: only if the key is still what an update was computed from.
-- KEYS   as wbput
-- ARGV   as wbput (9 always there), 10 `version` or `lease`, 11 version16 of the record in D, or token16 of the lease in E
-- REPLY  CHANGED now, or wbput's
-- A repeated operation is for wbput to know: what it wrote itself is no change by another.
if redis.call('EXISTS', KEYS[5]) == 0 then
  local as_read
  local dirty = redis.call('HGET', KEYS[1], ARGV[1])
  if ARGV[10] == 'version' then
    as_read = dirty and string.sub(dirty, 1, 16) == ARGV[11]
  else
    as_read = not dirty and redis.call('GETRANGE', KEYS[4], 40, 55) == ARGV[11]
  end
  if not as_read then
    local t = redis.call('TIME')
    return {'CHANGED', string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))}
  end
end
