-- A new job, unless there is one of that id, unfinished or finished and still kept.
-- KEYS  1 the queue's stem
-- ARGV  1 id  2 payload  3 delay ms  4 not before, unix ms, 0 none  5 priority -128..127  6 group, '' none
--       7 deadline ms from now, 0 none  8 attempts at most  9 nonce of this push  10 jobs at most
-- REPLY {1, id} new; {0, state, nonce of its push} known; {-1, jobs} no room
local due = math.max(tonumber(ARGV[4]), tonumber(ARGV[3]) > 0 and now + tonumber(ARGV[3]) or 0)
return add(ARGV[1], ARGV[2], due, ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10])
