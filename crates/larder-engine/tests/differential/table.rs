//! Every command, in all its forms.
//!
//! A line is an action: steps between semicolons, each a [rule](crate::rule) and a [syntax](crate::syntax). A command
//! without a line fails the test, so a new command brings its lines along; lines of commands that the engine does not
//! have yet wait for them. A line that begins with a number stands for so many.

/// The lines.
pub(crate) const LINES: &str = r"
# strings
6 same SET string value
3 same SET string value [NX|XX] [GET] [KEEPTTL|EX ttl|PX pttl|EXAT later|PXAT plater]
same SET string value {NX|XX|GET|KEEPTTL|EX ttl|PX pttl}
3 same GET string
same GETDEL string
same GETEX string [PERSIST|EX ttl|PX pttl|EXAT at|PXAT pat]
same GETEX string PERSIST [EX ttl]
same GETRANGE string int int
same SUBSTR string int int
same GETSET string value
same SETEX string ttl value
same PSETEX string pttl value
same SETNX string value
same SETRANGE string offset value
same STRLEN string
2 same APPEND string value
same MGET key {key}
same MSET string value {string value}
same MSETNX string value {string value}
2 same INCR string
same DECR string
same INCRBY string int
same DECRBY string int
2 same INCRBYFLOAT string float
same LCS string string [LEN] [IDX] [MINMATCHLEN int] [WITHMATCHLEN]
same GETBIT string bitoffset
same SETBIT string bitoffset bit
same BITCOUNT string [int int [BYTE|BIT]]
same BITPOS string bit [int [int [BYTE|BIT|garbage]]]
same BITOP (AND|OR|XOR|NOT|garbage) string string {string}
same BITOP NOT string string
3 same BITFIELD string {(GET bittype fieldoffset|SET bittype fieldoffset int|INCRBY bittype fieldoffset int|OVERFLOW (WRAP|SAT|FAIL|garbage))}
3 same BITFIELD string [OVERFLOW (SAT|FAIL)] SET bittype fieldoffset int INCRBY bittype fieldoffset int GET bittype fieldoffset
same BITFIELD_RO string {GET bittype fieldoffset} [SET 'u8' 0 1|garbage]
same WATCH $string ; other BITFIELD $string OVERFLOW FAIL (SET|INCRBY) bittype fieldoffset int ; same MULTI ; same PING ; same EXEC
same DISCARD [garbage]

# HyperLogLogs, compared byte for byte
4 same PFADD loglog {member}
2 same PFADD loglog manymembers
same PFADD loglog manypairs
same PFADD key {member}
2 same PFCOUNT loglog {loglog}
same PFCOUNT key [key]
2 same PFMERGE loglog {loglog} ; same GET $loglog
same PFMERGE key {key}
same PFADD $loglog member ; same GET $loglog ; same (SETRANGE $loglog loglogoffset loglogbyte|APPEND $loglog member) ; same (PFADD $loglog member member|PFCOUNT $loglog|PFCOUNT $loglog loglog|PFMERGE loglog $loglog|PFMERGE $loglog loglog) ; same PFCOUNT $loglog ; same OBJECT ENCODING $loglog ; same DEL $loglog
same DEL $loglog ; same EVAL loglogfill 1 $loglog blockcount ; same GET $loglog ; same PFCOUNT $loglog ; same GET $loglog
same WATCH $loglog ; other (PFADD $loglog [member]|PFCOUNT $loglog|PFMERGE $loglog) ; same MULTI ; same PING ; same EXEC

# hashes
6 same HSET hash member value {member value}
same HSETNX hash member value
same HMSET hash member value {member value}
2 same HGET hash member
same HMGET hash member {member}
2 pairs HGETALL hash
unordered HKEYS hash
unordered HVALS hash
same HLEN hash
same HSTRLEN hash member
same HEXISTS hash member
2 same HDEL hash member {member}
same HSET hash manypairs
same HINCRBY hash member int
2 same HINCRBYFLOAT hash member float
unordered HKEYS $hash ; pick HRANDFIELD $hash [count]
pairs HGETALL $hash ; pickpairs HRANDFIELD $hash count WITHVALUES
same HRANDFIELD 'absent' [count [WITHVALUES]]
same HRANDFIELD hash count 'x'
pagepairs HSCAN hash 0 COUNT 100000 [MATCH pattern]
kind HSCAN hash cursor [MATCH pattern] [COUNT int] [TYPE type]

# lists
4 same RPUSH list member {member}
4 same LPUSH list member {member}
same RPUSHX list member {member}
same LPUSHX list member {member}
same RPUSH list manymembers
2 same LPOP list [count]
same RPOP list [count]
same LLEN list
same LINDEX list int
same LSET list int value
2 same LRANGE list int int
same LTRIM list int int
same LINSERT list (BEFORE|AFTER|garbage) member value
2 same LREM list int member
2 same LPOS list member [RANK int] [COUNT int] [MAXLEN int]
2 same LMOVE list list (LEFT|RIGHT|garbage) (LEFT|RIGHT)
same RPOPLPUSH list list
same LMPOP numkeys list [list] (LEFT|RIGHT|garbage) [COUNT count] [garbage]
same LMPOP 1 list (LEFT|RIGHT) [COUNT count]

# sets
6 same SADD set member {member}
same SADD set manymembers
same SADD set manyints
2 same SREM set member {member}
same SCARD set
same SISMEMBER set member
same SMISMEMBER set member {member}
2 unordered SMEMBERS set
2 same SMOVE set set member
unordered SMEMBERS $set ; pick SRANDMEMBER $set [count]
same SRANDMEMBER 'absent' [count] [garbage]
2 unordered SMEMBERS $set ; pick SPOP $set ; rest SMEMBERS $set ; same DEL $set
unordered SMEMBERS $set ; pick SPOP $set count ; rest SMEMBERS $set ; same DEL $set
same SPOP 'absent' [count] [garbage]
2 unordered SINTER set {set}
2 unordered SUNION set {set}
2 unordered SDIFF set {set}
same SINTERSTORE set set {set}
same SUNIONSTORE key set {set}
same SDIFFSTORE set set {set}
same SINTERCARD numkeys set [set] [LIMIT count] [garbage]
same SINTERCARD 2 set set [LIMIT count]
page SSCAN set 0 COUNT 100000 [MATCH pattern]
kind SSCAN set cursor [MATCH pattern] [COUNT int] [TYPE type]

# sorted sets
8 same ZADD zset float member {float member}
4 same ZADD zset [NX|XX] [GT|LT] [CH] [INCR] float member {float member}
same ZADD zset {NX|XX|GT|LT|CH|INCR} float member
same ZADD zset manyscored
3 same ZINCRBY zset float member
same ZCARD zset
same ZSCORE zset member
same ZMSCORE zset member {member}
same ZRANK zset member
same ZREVRANK zset member
3 same ZRANGE zset int int [REV] [WITHSCORES]
3 same ZRANGE zset scorebound scorebound BYSCORE [REV] [LIMIT int int] [WITHSCORES]
same ZRANGE zset int int {BYSCORE|REV|LIMIT int int|WITHSCORES|garbage}
2 same ZRANGE lexical lexbound lexbound BYLEX [REV] [LIMIT int int]
same ZRANGE lexical lexbound lexbound {BYLEX|REV|LIMIT int int|WITHSCORES|BYSCORE}
2 same ZRANGESTORE key zset int int [REV]
same ZRANGESTORE zset zset scorebound scorebound BYSCORE [REV] [LIMIT int int] [WITHSCORES]
same ZRANGESTORE lexical lexical lexbound lexbound BYLEX [REV] [LIMIT int int]
same ZREVRANGE zset int int [WITHSCORES]
2 same ZRANGEBYSCORE zset scorebound scorebound [WITHSCORES] [LIMIT int int]
same ZREVRANGEBYSCORE zset scorebound scorebound [WITHSCORES] [LIMIT int int]
4 same ZADD lexical 0 member {0 member}
2 same ZRANGEBYLEX lexical lexbound lexbound [LIMIT int int]
same ZREVRANGEBYLEX lexical lexbound lexbound [LIMIT int int] [WITHSCORES]
same ZCOUNT zset scorebound scorebound
same ZLEXCOUNT lexical lexbound lexbound
2 same ZREM zset member {member}
same ZREM lexical member {member}
same ZREMRANGEBYRANK zset int int
same ZREMRANGEBYSCORE zset scorebound scorebound
same ZREMRANGEBYLEX lexical lexbound lexbound
same ZPOPMIN zset [count]
same ZPOPMAX zset [count]
same ZMPOP numkeys zset [zset] (MIN|MAX|garbage) [COUNT count] [garbage]
same ZMPOP 1 zset (MIN|MAX) [COUNT count]
3 same ZUNION 2 setlike setlike [WEIGHTS float float] [AGGREGATE (SUM|MIN|MAX|garbage)] [WITHSCORES]
3 same ZINTER 2 setlike setlike [WEIGHTS float float] [AGGREGATE (SUM|MIN|MAX|garbage)] [WITHSCORES]
same ZUNION numkeys setlike setlike setlike [WITHSCORES] [WEIGHTS float float float]
same ZINTER numkeys setlike setlike setlike [WITHSCORES] [WEIGHTS float float float]
2 same ZDIFF (2 setlike setlike|3 setlike setlike setlike|numkeys setlike) [WITHSCORES] [garbage]
2 same ZUNIONSTORE zset 2 setlike setlike [WEIGHTS float float] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]
2 same ZINTERSTORE key 2 setlike setlike [WEIGHTS float float] [AGGREGATE (SUM|MIN|MAX)]
same ZDIFFSTORE zset numkeys setlike [setlike]
same ZDIFFSTORE zset 2 setlike setlike
same ZINTERCARD numkeys setlike [setlike] [LIMIT count] [garbage]
same ZINTERCARD 2 setlike setlike [LIMIT count]
same ZRANGE $zset 0 -1 ; pick ZRANDMEMBER $zset [count]
same ZRANGE $zset 0 -1 WITHSCORES ; pickpairs ZRANDMEMBER $zset count WITHSCORES
same ZRANDMEMBER 'absent' [count [WITHSCORES]]
same ZRANDMEMBER zset count 'x'
pagepairs ZSCAN zset 0 COUNT 100000 [MATCH pattern]
kind ZSCAN zset cursor [MATCH pattern] [COUNT int] [TYPE type]

# streams: ids are explicit, since the two servers' clocks differ
6 same XADD stream newid member value {member value}
3 same XADD stream [NOMKSTREAM] [(MAXLEN|MINID) [=|~] threshold [LIMIT count]] (newid|streamid) member value
same XADD stream {NOMKSTREAM|MAXLEN [=|~] threshold|MINID [=|~] streamid|LIMIT count} newid member value {value}
4 same DEL $stream ; same EVAL streamfill 1 $stream blockcount ; same XTRIM $stream MAXLEN (~|=) blockcount [LIMIT blockcount] ; same XINFO STREAM $stream ; same XTRIM $stream (MAXLEN ~ blockcount|MINID ~ blockid|MINID blockid) ; same XINFO STREAM $stream FULL COUNT 1 ; same XDEL $stream blockid blockid ; same XRANGE $stream blockid + COUNT 7
kind XADD $stream [NOMKSTREAM] [MAXLEN ~ blockcount] * member value ; same DEL $stream
same XLEN stream
3 same XRANGE stream streambound streambound [COUNT int] [COUNT count]
2 same XREVRANGE stream streambound streambound [COUNT int]
2 same XDEL stream streamid {streamid}
2 same XTRIM stream (MAXLEN|MINID) [=|~] threshold [LIMIT count]
same XTRIM stream {MAXLEN [=|~] threshold|MINID [=|~] streamid|LIMIT count|garbage}
2 same XREAD [COUNT int] STREAMS stream streamid
same XREAD [COUNT int] [NOACK|GROUP 'g' 'c'] STREAMS stream stream (streamid|'$'|>) (streamid|'$')
same XREAD {COUNT int} STREAMS stream {stream} streamid
same XSETID stream streamid [ENTRIESADDED int] [MAXDELETEDID streamid] [garbage]
2 untimed XINFO STREAM stream [FULL [COUNT int]] [garbage]
same XINFO GROUPS stream [garbage]
same XINFO HELP
same XINFO 'x'

# groups of a stream; what was given to whom is compared without times
4 same XGROUP CREATE stream 'g' (0|0|'$'|streamid) [MKSTREAM] [ENTRIESREAD entriesread]
2 same XGROUP CREATE stream group streamid {(MKSTREAM|MKSTREAM|ENTRIESREAD entriesread|garbage)}
same XGROUP SETID stream group (0|'$'|streamid) [ENTRIESREAD entriesread] [garbage]
same XGROUP DESTROY stream group
same XGROUP CREATECONSUMER stream group consumer
same XGROUP DELCONSUMER stream group consumer
same XGROUP HELP
same XGROUP 'x'
4 same XREADGROUP GROUP 'g' consumer [COUNT count] STREAMS stream >
2 same XREADGROUP GROUP group consumer [COUNT int] [NOACK] STREAMS stream [stream] (>|'$'|streamid) [>|streamid]
same XREADGROUP GROUP group consumer {(COUNT count|NOACK|BLOCK 1|GROUP 'g' 'c'|garbage)} STREAMS stream >
2 same XREADGROUP GROUP 'g' consumer [COUNT count] STREAMS stream (0|streamid)
2 same XACK stream group streamid {streamid}
2 same XPENDING stream group
2 pending XPENDING stream group [IDLE minidle] streambound streambound count [consumer] [garbage]
pending XPENDING stream 'g' - + 100 [consumer]
2 same XCLAIM stream group consumer minidle streamid {streamid} [IDLE minidle] [RETRYCOUNT retrycount] [FORCE] [JUSTID] [LASTID streamid]
same XCLAIM stream 'g' consumer 0 nextid {nextid} {(FORCE|JUSTID|TIME minidle|garbage)}
2 same XAUTOCLAIM stream group consumer minidle streambound [COUNT claimcount] [JUSTID] [garbage]
same XINFO GROUPS stream
6 same DEL $stream ; same XGROUP CREATE $stream 'g' (0|'$') MKSTREAM ; same XADD $stream nextid member value ; same XADD $stream nextid member value ; same XADD $stream nextid member value ; same XREADGROUP GROUP 'g' 'c' [COUNT 2] [NOACK] STREAMS $stream > ; same XADD $stream nextid member value ; same (XDEL|XACK $stream 'g'|XCLAIM $stream 'g' 'd' 0) 1-1 2-0 3-5 ; same XDEL $stream nextid ; same XINFO GROUPS $stream ; same (XREADGROUP GROUP 'g' consumer STREAMS $stream (0|>)|XAUTOCLAIM $stream 'g' consumer 0 - [COUNT claimcount] [JUSTID]|XTRIM $stream MAXLEN 1|XSETID $stream streamid ENTRIESADDED int) ; same XINFO GROUPS $stream ; same XPENDING $stream 'g' ; same (COPY $stream stream REPLACE|RENAME $stream stream)
same WATCH $stream ; other (XGROUP CREATE $stream 'g' 0|XGROUP CREATECONSUMER $stream 'g' 'c'|XREADGROUP GROUP 'g' 'c' STREAMS $stream >|XACK $stream 'g' 1-1|XGROUP DESTROY $stream 'g'|XGROUP SETID $stream 'g' 0|XCLAIM $stream 'g' 'd' 0 1-1|XGROUP CREATE $stream 'g' 0 MKSTREAM) ; same MULTI ; same PING ; same EXEC
3 same DEL $stream ; same XGROUP CREATE $stream 'g' '$' MKSTREAM ; first XREADGROUP GROUP 'g' 'c' [COUNT count] BLOCK 0 [NOACK] STREAMS $stream > ; second XREADGROUP GROUP 'g' 'd' BLOCK 0 STREAMS stream $stream > > ; second XREADGROUP GROUP 'g' 'd' BLOCK 0 STREAMS $stream > ; same (XADD $stream nextid member value|XADD $stream nextid member value|DEL $stream|SET $stream value|RENAME $stream stream|XGROUP DESTROY $stream 'g'|XGROUP SETID $stream 'g' 0|FLUSHALL|EXPIRE $stream 0|SWAPDB 0 1) ; same (XADD $stream nextid member value|XDEL $stream streamid|DEL $stream) ; first ENDWAIT ; second ENDWAIT ; same XINFO GROUPS $stream ; consumers XINFO CONSUMERS $stream 'g'
2 same DEL $stream ; same XGROUP CREATE $stream 'g' '$' MKSTREAM ; first XREADGROUP GROUP 'g' 'c' BLOCK 0 STREAMS $stream > ; second XREADGROUP GROUP 'g' 'd' BLOCK 0 STREAMS $stream > ; same MULTI ; same XADD $stream nextid member value ; same (XADD $stream nextid member value|DEL $stream|XDEL $stream nextid|XGROUP DESTROY $stream 'g') ; same (RPUSH $stream member|XADD $stream nextid member value) ; same EXEC ; first ENDWAIT ; second ENDWAIT ; consumers XINFO CONSUMERS $stream 'g'
consumers XINFO CONSUMERS stream group [garbage]
listener PSUBSCRIBE '__key*' ; same CONFIG SET 'notify-keyspace-events' 'KEA' ; same DEL $stream ; other XGROUP CREATE $stream 'g' 0 MKSTREAM ; other XADD $stream nextid member value ; other XREADGROUP GROUP 'g' 'c' STREAMS $stream > ; other XCLAIM $stream 'g' 'd' 0 1-1 2-0 ; other XGROUP DELCONSUMER $stream 'g' 'd' ; other XGROUP DESTROY $stream 'g' ; listener PING ; same CONFIG SET 'notify-keyspace-events' '' ; listener PUNSUBSCRIBE

# waiting: for ever, until what is waited for comes or ENDWAIT ends it
same BLPOP list {list} timeout ; same PING
same BRPOP list {list} timeout ; same PING
same BLMOVE list list (LEFT|RIGHT|garbage) (LEFT|RIGHT) timeout ; same PING
same BRPOPLPUSH list list timeout ; same PING
same BLMPOP timeout numkeys list [list] (LEFT|RIGHT|garbage) [COUNT count] [garbage] ; same PING
same BLMPOP timeout 1 list (LEFT|RIGHT) [COUNT count] ; same PING
same BZPOPMIN zset {zset} timeout ; same PING
same BZPOPMAX zset {zset} timeout ; same PING
same BZMPOP timeout numkeys zset [zset] (MIN|MAX|garbage) [COUNT count] [garbage] ; same PING
same BZMPOP timeout 1 zset (MIN|MAX) [COUNT count] ; same PING
same XREAD BLOCK 1 [COUNT int] STREAMS stream [stream] ('$'|streamid) [('$'|>)] ; same PING
same MULTI ; same (BLPOP list 0|BRPOP list 0|BLMOVE list list LEFT LEFT 0|BRPOPLPUSH list list 0|BLMPOP 0 1 list LEFT|BZPOPMIN zset 0|BZPOPMAX zset 0|BZMPOP 0 1 zset MAX|XREAD BLOCK 0 STREAMS stream '$') ; same EXEC
4 same DEL $list ; first (BLPOP $list [list] 0|BRPOP $list 0|BLMOVE $list list (LEFT|RIGHT) (LEFT|RIGHT) 0|BRPOPLPUSH $list list 0|BLMPOP 0 1 $list (LEFT|RIGHT) [COUNT count]|BLMPOP 0 2 $list list LEFT) ; second (BLPOP $list [list] 0|BRPOP $list 0|BLMOVE $list list (LEFT|RIGHT) (LEFT|RIGHT) 0|BRPOPLPUSH $list list 0|BLMPOP 0 1 $list (LEFT|RIGHT) [COUNT count]|BLMPOP 0 2 $list list LEFT) ; same (RPUSH $list member {member}|RPUSH $list member {member}|LPUSH list member {member}|RENAME key $list|COPY key $list REPLACE|SET list value|DEL list|LMOVE list $list LEFT RIGHT|EVAL calls 1 list value|ZADD $list 1 'a'|SWAPDB 0 1|FLUSHALL) ; same (RPUSH $list member {member}|RPUSH $list member {member}|LPUSH list member {member}|RENAME key $list|COPY key $list REPLACE|SET list value|DEL list|LMOVE list $list LEFT RIGHT|EVAL calls 1 list value|ZADD $list 1 'a'|SWAPDB 0 1|FLUSHALL) ; first ENDWAIT [ERROR] ; second ENDWAIT
3 same DEL $list ; first (BLPOP $list [list] 0|BRPOP $list 0|BLMOVE $list list (LEFT|RIGHT) (LEFT|RIGHT) 0|BRPOPLPUSH $list list 0|BLMPOP 0 1 $list (LEFT|RIGHT) [COUNT count]|BLMPOP 0 2 $list list LEFT) ; second (BLPOP $list [list] 0|BRPOP $list 0|BLMOVE $list list (LEFT|RIGHT) (LEFT|RIGHT) 0|BRPOPLPUSH $list list 0|BLMPOP 0 1 $list (LEFT|RIGHT) [COUNT count]|BLMPOP 0 2 $list list LEFT) ; same MULTI ; same (RPUSH $list member {member}|RPUSH $list member {member}|LPUSH list member {member}|RENAME key $list|COPY key $list REPLACE|SET list value|DEL list|LMOVE list $list LEFT RIGHT|EVAL calls 1 list value|ZADD $list 1 'a'|SWAPDB 0 1|FLUSHALL) ; same (RPUSH $list member {member}|RPUSH $list member {member}|LPUSH list member {member}|RENAME key $list|COPY key $list REPLACE|SET list value|DEL list|LMOVE list $list LEFT RIGHT|EVAL calls 1 list value|ZADD $list 1 'a'|SWAPDB 0 1|FLUSHALL) ; same (RPUSH $list member {member}|RPUSH $list member {member}|LPUSH list member {member}|RENAME key $list|COPY key $list REPLACE|SET list value|DEL list|LMOVE list $list LEFT RIGHT|EVAL calls 1 list value|ZADD $list 1 'a'|SWAPDB 0 1|FLUSHALL) ; same EXEC ; first ENDWAIT ; second ENDWAIT
3 same DEL $zset ; first (BZPOPMIN $zset [zset] 0|BZPOPMAX $zset 0|BZMPOP 0 1 $zset (MIN|MAX) [COUNT count]|BZMPOP 0 2 zset $zset MAX) ; second (BZPOPMIN $zset [zset] 0|BZPOPMAX $zset 0|BZMPOP 0 1 $zset (MIN|MAX) [COUNT count]|BZMPOP 0 2 zset $zset MAX) ; same (ZADD $zset float member {float member}|ZADD $zset float member {float member}|ZINCRBY zset float member|RENAME key $zset|ZUNIONSTORE $zset 2 zset set|ZRANGESTORE $zset zset 0 -1|RPUSH $zset 'a'|EVAL calls 1 zset value) ; same (ZADD $zset float member {float member}|ZADD $zset float member {float member}|ZINCRBY zset float member|RENAME key $zset|ZUNIONSTORE $zset 2 zset set|ZRANGESTORE $zset zset 0 -1|RPUSH $zset 'a'|EVAL calls 1 zset value) ; first ENDWAIT ; second ENDWAIT
2 same DEL $zset ; first (BZPOPMIN $zset [zset] 0|BZPOPMAX $zset 0|BZMPOP 0 1 $zset (MIN|MAX) [COUNT count]|BZMPOP 0 2 zset $zset MAX) ; second (BZPOPMIN $zset [zset] 0|BZPOPMAX $zset 0|BZMPOP 0 1 $zset (MIN|MAX) [COUNT count]|BZMPOP 0 2 zset $zset MAX) ; same MULTI ; same (ZADD $zset float member {float member}|ZADD $zset float member {float member}|ZINCRBY zset float member|RENAME key $zset|ZUNIONSTORE $zset 2 zset set|ZRANGESTORE $zset zset 0 -1|RPUSH $zset 'a'|EVAL calls 1 zset value) ; same (ZADD $zset float member {float member}|ZADD $zset float member {float member}|ZINCRBY zset float member|RENAME key $zset|ZUNIONSTORE $zset 2 zset set|ZRANGESTORE $zset zset 0 -1|RPUSH $zset 'a'|EVAL calls 1 zset value) ; same DEL zset ; same EXEC ; first ENDWAIT ; second ENDWAIT
3 first XREAD [COUNT int] BLOCK 0 STREAMS $stream ('$'|'$'|streamid) ; second XREAD BLOCK 0 STREAMS stream $stream ('$'|streamid) '$' ; same (XADD $stream newid member value|XADD $stream newid member value|XADD stream newid member value|XDEL $stream streamid|XSETID $stream '900-1'|XTRIM $stream MAXLEN 0|RENAME stream $stream|DEL $stream|SET $stream value) ; same (XADD $stream newid member value|XADD $stream newid member value|XADD stream newid member value|XDEL $stream streamid|XSETID $stream '900-1'|XTRIM $stream MAXLEN 0|RENAME stream $stream|DEL $stream|SET $stream value) ; first ENDWAIT ; second ENDWAIT
2 first XREAD [COUNT int] BLOCK 0 STREAMS $stream ('$'|'$'|streamid) ; second XREAD [COUNT int] BLOCK 0 STREAMS $stream ('$'|'$'|streamid) ; same MULTI ; same (XADD $stream newid member value|XADD $stream newid member value|XADD stream newid member value|XDEL $stream streamid|XSETID $stream '900-1'|XTRIM $stream MAXLEN 0|RENAME stream $stream|DEL $stream|SET $stream value) ; same (XADD $stream newid member value|XADD $stream newid member value|XADD stream newid member value|XDEL $stream streamid|XSETID $stream '900-1'|XTRIM $stream MAXLEN 0|RENAME stream $stream|DEL $stream|SET $stream value) ; same (XADD $stream newid member value|XADD $stream newid member value|XADD stream newid member value|XDEL $stream streamid|XSETID $stream '900-1'|XTRIM $stream MAXLEN 0|RENAME stream $stream|DEL $stream|SET $stream value) ; same EXEC ; first ENDWAIT ; second ENDWAIT
listener CLIENT TRACKING ON ; listener LLEN $list ; first BLPOP $list 0 ; other RPUSH $list member ; first ENDWAIT ; listener CLIENT TRACKING OFF
listener PSUBSCRIBE '__key*' ; same CONFIG SET 'notify-keyspace-events' 'KEA' ; same DEL $list ; first (BLPOP $list [list] 0|BRPOP $list 0|BLMOVE $list list (LEFT|RIGHT) (LEFT|RIGHT) 0|BRPOPLPUSH $list list 0|BLMPOP 0 1 $list (LEFT|RIGHT) [COUNT count]|BLMPOP 0 2 $list list LEFT) ; other (RPUSH|LPUSH) $list member member ; first ENDWAIT ; listener PING ; same CONFIG SET 'notify-keyspace-events' '' ; listener PUNSUBSCRIBE

# keys of any type
4 same DEL key {key}
same UNLINK key {key}
2 same EXISTS key {key}
same TOUCH key {key}
2 same TYPE key
2 same RENAME key key
same RENAMENX key key
2 same COPY key key [DB db] [REPLACE] [garbage]
same MOVE key db
2 same EXPIRE key ttl [NX|XX|GT|LT|garbage] [NX|XX|GT|LT]
same PEXPIRE key pttl [NX|XX|GT|LT]
same EXPIREAT key at [NX|XX|GT|LT]
same PEXPIREAT key pat [NX|XX|GT|LT]
same PERSIST key
2 seconds TTL key
2 millis PTTL key
seconds EXPIRETIME key
millis PEXPIRETIME key
unordered KEYS pattern
unordered KEYS * ; pick RANDOMKEY
page SCAN 0 COUNT 100000 [MATCH pattern] [TYPE type]
kind SCAN cursor [MATCH pattern] [COUNT int] [TYPE type] [garbage]
3 same OBJECT ENCODING key
same OBJECT REFCOUNT 'absent'
same OBJECT FREQ key
kind OBJECT IDLETIME key
same OBJECT HELP
same OBJECT 'x'
# Redis 7.0 looks at an error number that an earlier command left, unless something has read a number in between; an
# order that elements do not decide is only that of lists and sorted sets.
same DEL $list ; same RPUSH $list value {float} ; same HINCRBYFLOAT 'h9' 'a' 0 ; same SORT $list [ASC|DESC] [LIMIT int int] [GET (#|value)] [STORE key]
same DEL $set ; same SADD $set word {word} ; same SORT $set ALPHA [ASC|DESC] [LIMIT int int]
same DEL $zset ; same ZADD $zset float word {float word} ; same SORT $zset ALPHA [ASC|DESC] [LIMIT int int]
same DEL $list ; same RPUSH $list word {word} ; same SORT $list BY ('nosort'|'s*'|'h*->a') ALPHA [GET #] [GET 's*'] [GET 'h*->b'] [STORE key]
same DEL $zset ; same ZADD $zset float member {float member} ; same SORT $zset BY 'nosort' [ASC|DESC] [LIMIT int int]
same SORT 'absent' {ASC|DESC|ALPHA|LIMIT int int|garbage}
same DEL $list ; same LPUSH $list word {word} ; same SORT_RO $list ALPHA [ASC|DESC] [STORE key]

# the 'server'
same SELECT db
same SWAPDB db db
same DBSIZE
same FLUSHDB [ASYNC|SYNC|garbage]
same FLUSHALL [ASYNC|SYNC]
kind TIME
kind LASTSAVE
kind INFO ['server'|'memory'|'everything'|'nonsense']
kind LASTSAVE
same MEMORY USAGE 'absent'
kind MEMORY USAGE key [SAMPLES int]
kind MEMORY HELP
same MEMORY 'x'
pairs CONFIG GET ('maxmemory'|'maxmemory-policy'|'nonsense'|'proto-max-bulk-len'|'timeout'|'databases')
same CONFIG SET ('nonsense' 1|'maxmemory' 'x'|'timeout'|'maxmemory-policy' 'nonsense')
same CONFIG RESETSTAT
same CONFIG 'x'
kind CONFIG HELP
kind CONFIG REWRITE
kind COMMAND COUNT
kind COMMAND LIST [FILTERBY PATTERN pattern]
entries COMMAND INFO commandname {commandname}
kind COMMAND DOCS {commandname}
kind COMMAND HELP
kind COMMAND
same COMMAND GETKEYSANDFLAGS 'nonsense'
same COMMAND GETKEYS (GET key|MSET key value key value|DEL key key|ZUNION 2 key key|SET key|GET|NONSENSE key)
kind SLOWLOG LEN
kind SLOWLOG GET [count]
kind SLOWLOG HELP
same SLOWLOG RESET
same SLOWLOG 'x'
same DEBUG SET-ACTIVE-EXPIRE 1 ; same PING
same DEBUG garbage
kind LATENCY LATEST
kind LATENCY RESET
kind ROLE
same WAIT 0 0

# transactions
4 same MULTI ; same (SET string value|INCR string|LPUSH list member|GET) ; same (GET string|LRANGE list 0 -1|HSET hash member value) ; same (EXEC|DISCARD|EXEC garbage)
2 same WATCH key ; same MULTI ; same (HSET hash member value|ZADD zset float member|SADD set member) ; same EXEC
3 same WATCH $key ; other SET $key value ; same MULTI ; same APPEND string value ; same EXEC
2 same WATCH $key ; other (DEL|GET|EXPIRE|PERSIST) $key [100] ; same MULTI ; same PING ; same EXEC
2 same WATCH $stream ; other (XADD $stream newid member value|XSETID $stream streamid|XDEL $stream streamid|XTRIM $stream MAXLEN 0) ; same MULTI ; same PING ; same EXEC
same WATCH $key ; other DEL $key ; same UNWATCH ; same MULTI ; same PING ; same EXEC
same MULTI ; same MULTI ; same WATCH key ; same NONSENSE ; same EXEC
same (EXEC|DISCARD|UNWATCH)

# connections
same PING [value]
same ECHO value
same AUTH [garbage] value
same RESET ; hello
kind HELLO (2|3|4|'x') ; hello
same QUIT [garbage] ; hello
same CLIENT SETNAME ('name'|value) ; same CLIENT GETNAME
kind CLIENT ID
kind CLIENT INFO
kind CLIENT LIST [TYPE (NORMAL|garbage)]
kind CLIENT HELP
same CLIENT NO-EVICT ('on'|'off'|garbage)
same CLIENT REPLY garbage
same CLIENT UNBLOCK (0|garbage) [TIMEOUT|garbage]
same CLIENT KILL (ID 0|'1.2.3.4:5'|ID garbage|TYPE garbage|ADDR '1.2.3.4:5' SKIPME garbage|garbage garbage)
same CLIENT TRACKING (OFF|garbage|ON 'x') ; same PING
same CLIENT CACHING (YES|NO|garbage)
same CLIENT GETREDIR
same CLIENT TRACKINGINFO
same CLIENT 'x'
kind ACL LIST
kind ACL USERS
kind ACL CAT
kind ACL HELP
same ACL WHOAMI
same ACL 'x'
kind READONLY
kind READWRITE

# publish and subscribe
same PUBLISH channel value
unordered PUBSUB CHANNELS [pattern]
same PUBSUB NUMSUB {channel}
same PUBSUB NUMPAT
same PUBSUB 'x'
same PUBSUB SHARDNUMSUB {channel}
kind PUBSUB HELP
2 listener SUBSCRIBE $channel {channel} ; same PUBLISH $channel value ; listener GET string ; same PUBSUB NUMSUB channel channel ; listener UNSUBSCRIBE 'ch1' 'ch2' 'news' 'ch1' ; same PUBLISH $channel value
listener SUBSCRIBE $channel $channel ; listener PSUBSCRIBE $channelpattern ; same PUBLISH $channel value ; listener UNSUBSCRIBE ; listener PUNSUBSCRIBE
2 listener PSUBSCRIBE channelpattern {channelpattern} ; same PUBLISH channel value ; same PUBSUB NUMPAT ; listener PUNSUBSCRIBE 'ch*' 'n?ws' * ''
listener (UNSUBSCRIBE|PUNSUBSCRIBE)
listener UNSUBSCRIBE channel
listener PUNSUBSCRIBE channelpattern
listener CLIENT TRACKING ON ; listener (XLEN $stream|XRANGE $stream - +|XREAD COUNT 1 STREAMS $stream 0) ; other (XADD $stream newid member value|XDEL $stream streamid|XSETID $stream streamid) ; listener CLIENT TRACKING OFF
2 listener CLIENT TRACKING ON [NOLOOP] ; listener (GET|HLEN|EXISTS) $key ; other (DEL|PERSIST|EXPIRE) $key [100] ; listener CLIENT TRACKING OFF
listener SSUBSCRIBE $channel ; same SPUBLISH channel value ; listener SUNSUBSCRIBE $channel
same SPUBLISH channel value
unordered PUBSUB SHARDCHANNELS [pattern]

# scripts
4 same EVAL returns numkeys {key} {value}
2 same EVAL returns 0
3 same EVAL calls 1 $key value
same SCRIPT LOAD $returns ; same EVALSHA sha numkeys {value}
same EVAL_RO returns 0
same EVALSHA_RO sha 0
same SCRIPT EXISTS sha {sha}
same SCRIPT FLUSH [SYNC|ASYNC|garbage]
same SCRIPT KILL
listener SCRIPT DEBUG (NO|garbage)
same SCRIPT 'x'
kind SCRIPT HELP

# what does not exist
same NONSENSE {value}
";
