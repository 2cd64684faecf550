-- A worker's turn: settles what has ended, takes back what was stalled, brings up what is due, takes what waits.
-- KEYS  1 the queue's stem
-- ARGV  1 token of this claim  2 token of one whose answer was lost, or ''  3 jobs wanted  4 visibility ms
--       5 jobs of this queue that may run at once, 0 any  6 finished jobs are kept ms  7 and at most so many
--       then for each ended attempt: id, its token, done | retry | dead | back, delay ms, reason
-- REPLY {now ms, 1 if paused, ms until something is due or -1, stalled, buried, {how each was settled}, {job..}, {schedule..}}
--       settled: done retried dead back, or lost: the attempt was not this worker's any more
--       job {id, payload, attempt, attempts, group or '', deadline in ms or -1, waited ms}; schedule {name, due ms, spec}
local SWEEP = 100 -- at a time, so that no turn is long; the next is due at once
local stalled, buried = 0, 0

local function finish(id)
  local keep, count = tonumber(ARGV[6]), tonumber(ARGV[7])
  local group = get(id, 'g')
  if keep == 0 or count == 0 then
    redis.call('UNLINK', job(id))
  else
    set(id, 's', 'done', 'f', int(now))
    redis.call('HDEL', job(id), 'p', 'why')
    redis.call('PEXPIRE', job(id), keep)
    redis.call('ZADD', DONE, int(now), id)
    redis.call('PEXPIRE', DONE, keep)
    redis.call('ZREMRANGEBYSCORE', DONE, '-inf', int(now - keep))
    local over = math.min(redis.call('ZCARD', DONE) - count, SWEEP)
    if over > 0 then
      local old = redis.call('ZPOPMIN', DONE, over)
      for i = 1, #old, 2 do
        if get(old[i], 's') == 'done' then redis.call('UNLINK', job(old[i])) end
      end
    end
  end
  ended(id, group)
end

local function back(id)
  redis.call('HINCRBY', job(id), 'n', -1)
  ready(id, true)
end

local function settle(id, token, how, delay, why)
  local row = redis.call('HMGET', job(id), 'tok', 'last', 'n', 'max')
  if row[1] ~= token then
    -- Asked again because the answer was lost: the same answer.
    if row[2] and string.sub(row[2], 1, #token) == token then return string.sub(row[2], #token + 1) end
    return 'lost'
  end
  redis.call('ZREM', RUN, id)
  redis.call('HDEL', job(id), 'tok')
  if how == 'retry' then how = tonumber(row[3]) < tonumber(row[4]) and 'retried' or 'dead' end
  set(id, 'last', token .. how)
  if how == 'done' then
    finish(id)
  elseif how == 'retried' then
    set(id, 'why', why)
    place(id, now + tonumber(delay))
  elseif how == 'dead' then
    bury(id, why)
  else
    back(id)
  end
  return how
end

local settled = {}
for i = 8, #ARGV, 5 do
  settled[#settled + 1] = settle(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
end

if ARGV[2] ~= '' then -- nobody heard of what that claim took
  for _, id in ipairs(redis.call('ZRANGE', RUN, 0, -1)) do
    if get(id, 'tok') == ARGV[2] then
      redis.call('ZREM', RUN, id)
      redis.call('HDEL', job(id), 'tok')
      back(id)
    end
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', RUN, '-inf', int(now), 'LIMIT', 0, SWEEP)) do
  redis.call('ZREM', RUN, id)
  redis.call('HDEL', job(id), 'tok')
  stalled = stalled + 1
  local row = redis.call('HMGET', job(id), 'n', 'max')
  if not row[1] then
    stalled = stalled - 1 -- its key was deleted by hand
  elseif tonumber(row[1]) >= tonumber(row[2]) then
    bury(id, 'stalled: the worker of its last attempt said nothing for the visibility timeout')
    buried = buried + 1
  else
    ready(id, true)
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', LATER, '-inf', int(now), 'LIMIT', 0, SWEEP)) do
  redis.call('ZREM', LATER, id)
  ready(id)
end

local paused = redis.call('EXISTS', Q .. ':paused')
local wanted, jobs = tonumber(ARGV[3]), {}
if tonumber(ARGV[5]) > 0 then wanted = math.min(wanted, tonumber(ARGV[5]) - redis.call('ZCARD', RUN)) end
if paused == 1 then wanted = 0 end
local looked = 0
while #jobs < wanted and looked < wanted + SWEEP do
  looked = looked + 1
  local id = redis.call('ZPOPMIN', WAIT)[1]
  if not id then break end
  local row = redis.call('HMGET', job(id), 'p', 'dl', 'max', 'g', 'r')
  local deadline = row[2] and tonumber(row[2])
  if deadline and deadline <= now then
    bury(id, 'deadline: it had not begun by then')
    buried = buried + 1
  elseif row[1] then
    local attempt = redis.call('HINCRBY', job(id), 'n', 1)
    set(id, 's', 'running', 'tok', ARGV[1])
    redis.call('ZADD', RUN, int(now + tonumber(ARGV[4])), id)
    jobs[#jobs + 1] = {id, row[1], attempt, row[3], row[4] or '', deadline and deadline - now or -1, now - tonumber(row[5])}
  end
end

local due = -1
for _, key in ipairs({LATER, RUN, TICKS}) do
  local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  if head then
    local left = math.max(tonumber(head) - now, 0)
    if due < 0 or left < due then due = left end
  end
end

local ticks = {}
if tonumber(ARGV[3]) > 0 then
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', TICKS, '-inf', int(now), 'LIMIT', 0, SWEEP)) do
    ticks[#ticks + 1] = {name, int(redis.call('ZSCORE', TICKS, name)), redis.call('HGET', SPECS, name) or ''}
  end
end
return {int(now), paused, due, stalled, buried, settled, jobs, ticks}
