-- What the scripts of a queue share: they are sent with this text before their own.
-- KEYS  1 the queue's stem, `queue:{<namespace>:}`; every key is made of it, and all are in its slot
--         :wait z of ids by band and place, :later z by due ms, :run z by the end of visibility ms, :dead z and :done z by
--         end ms, :parked z of `group \0 place id` at score 0, :heads h group to the job whose turn it is, :paused s,
--         :ticks z of schedules by due ms, :specs h, :bodies h, :job:<id> h, channel :wake
-- A job s state, p payload, n attempts begun, max attempts, pri priority, c made ms, r ready ms, f ended ms, due ms, dl deadline ms,
--       g group, at its member of :parked, by nonce of its push, tok token of the attempt, last how the attempt ended, why, prog
-- ARGV  those of the script that follows
-- REPLY that of the script that follows
local Q = KEYS[1]
local WAIT, LATER, RUN, DEAD, DONE = Q .. ':wait', Q .. ':later', Q .. ':run', Q .. ':dead', Q .. ':done'
local PARKED, HEADS, TICKS, SPECS, BODIES = Q .. ':parked', Q .. ':heads', Q .. ':ticks', Q .. ':specs', Q .. ':bodies'
local PLACES = 1099511627776 -- 2^40 places in the band of a priority; 256 bands stay below 2^53
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function int(number) return string.format('%.0f', number) end
local function job(id) return Q .. ':job:' .. id end
local function get(id, field) return redis.call('HGET', job(id), field) end
local function set(id, ...) redis.call('HSET', job(id), ...) end
local function wake() redis.call('PUBLISH', Q .. ':wake', '') end

-- Behind those of its priority or, given back, before them. Whoever sleeps has seen nothing waiting: one word for the first.
local function ready(id, first)
  local priority = get(id, 'pri')
  if not priority then return end -- somebody deleted the job's key: there is nothing left to do
  local low = (127 - tonumber(priority)) * PLACES
  local from, to, score = int(low), '(' .. int(low + PLACES), low + PLACES / 2
  local edge
  if first then
    edge = redis.call('ZRANGEBYSCORE', WAIT, from, to, 'WITHSCORES', 'LIMIT', 0, 1)
  else
    edge = redis.call('ZREVRANGEBYSCORE', WAIT, to, from, 'WITHSCORES', 'LIMIT', 0, 1)
  end
  if edge[2] then score = tonumber(edge[2]) + (first and -1 or 1) end
  if redis.call('ZCARD', WAIT) == 0 then wake() end
  redis.call('ZADD', WAIT, int(score), id)
  set(id, 's', 'waiting', 'r', int(now))
end

local function later(id, due)
  local head = redis.call('ZRANGE', LATER, 0, 0, 'WITHSCORES')
  if not head[2] or due < tonumber(head[2]) then wake() end -- who sleeps until the first has to get up earlier
  redis.call('ZADD', LATER, int(due), id)
  set(id, 's', 'delayed', 'due', int(due))
end

local function place(id, due)
  if due > now then later(id, due) else ready(id) end
end

-- In its turn: at once or, while another of its group has not ended, behind those of its group.
local function enter(id, due, group)
  if not group or redis.call('HSETNX', HEADS, group, id) == 1 then return place(id, due) end
  local last = redis.call('ZREVRANGEBYLEX', PARKED, '(' .. group .. '\1', '[' .. group .. '\0', 'LIMIT', 0, 1)[1]
  local at = last and tonumber(string.sub(last, #group + 2, #group + 17)) + 1 or 0
  local member = group .. '\0' .. string.format('%016.0f', at) .. id
  redis.call('ZADD', PARKED, 0, member)
  set(id, 's', 'parked', 'due', int(due), 'at', member)
end

-- The job has ended for good: the next of its group has its turn.
local function ended(id, group)
  if not group or redis.call('HGET', HEADS, group) ~= id then return end
  local next, heir
  repeat
    next = redis.call('ZRANGEBYLEX', PARKED, '[' .. group .. '\0', '(' .. group .. '\1', 'LIMIT', 0, 1)[1]
    if not next then return redis.call('HDEL', HEADS, group) end
    redis.call('ZREM', PARKED, next)
    heir = string.sub(next, #group + 18)
  until redis.call('EXISTS', job(heir)) == 1
  redis.call('HSET', HEADS, group, heir)
  place(heir, tonumber(get(heir, 'due')) or 0)
end

local function bury(id, why)
  set(id, 's', 'dead', 'why', why, 'f', int(now))
  redis.call('HDEL', job(id), 'tok')
  redis.call('ZADD', DEAD, int(now), id)
  ended(id, get(id, 'g'))
end

-- How many jobs there are that must not vanish.
local function living()
  local count = 0
  for _, key in ipairs({WAIT, LATER, RUN, DEAD, PARKED}) do count = count + redis.call('ZCARD', key) end
  return count
end

-- A new job: {1, id}; {0, state, by} if there is one of that id, {-1, living} if there is no room.
local function add(id, payload, due, priority, group, deadline, attempts, nonce, capacity)
  local known = redis.call('HMGET', job(id), 's', 'by')
  if known[1] then return {0, known[1], known[2] or ''} end
  local count = living()
  if count >= tonumber(capacity) then return {-1, count} end
  if group == '' then group = nil end
  set(id, 'p', payload, 'n', 0, 'max', attempts, 'pri', priority, 'c', int(now), 'by', nonce)
  if group then set(id, 'g', group) end
  if tonumber(deadline) > 0 then set(id, 'dl', int(now + tonumber(deadline))) end
  enter(id, due, group)
  return {1, id}
end

-- Without a trace, unless it is running; its group goes on.
local function remove(id)
  local row = redis.call('HMGET', job(id), 's', 'g', 'at')
  if row[1] == 'running' then return 0 end
  for _, key in ipairs({WAIT, LATER, DEAD, DONE}) do redis.call('ZREM', key, id) end
  if not row[1] then return 0 end
  if row[1] == 'parked' then redis.call('ZREM', PARKED, row[3]) end
  redis.call('UNLINK', job(id))
  ended(id, row[2])
  return 1
end

