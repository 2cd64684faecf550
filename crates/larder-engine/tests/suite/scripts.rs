//! Scripts answer on the engine as they do on redis-server 7.0.15, errors byte for byte.

use larder_engine::Engine;
use larder_testkit::{Answer, RedisServer, Wire};

/// The engine and a redis-server, given the same commands.
struct Pair {
    engine: Wire,
    redis: Wire,
    _server: RedisServer,
    differences: Vec<String>,
}

impl Pair {
    async fn start() -> Self {
        let server = RedisServer::start().await;
        Self {
            engine: Wire::embedded(&Engine::new()),
            redis: Wire::tcp(server.port()),
            _server: server,
            differences: Vec::new(),
        }
    }

    fn run(&mut self, args: &[&[u8]]) {
        let expected = self.redis.call(args);
        let got = self.engine.call(args);
        if got != expected {
            let shown: Vec<_> = args.iter().map(|arg| arg.escape_ascii().to_string()).collect();
            self.differences.push(format!(
                "{}\n    engine  {}\n    redis   {}",
                shown.join(" "),
                print(&got),
                print(&expected)
            ));
        }
    }

    /// Runs a script without keys on both.
    fn eval(&mut self, script: &str) {
        self.run(&[b"EVAL", script.as_bytes(), b"0"]);
    }

    #[track_caller]
    fn end(self) {
        assert!(
            self.differences.is_empty(),
            "differences:\n{}",
            self.differences.join("\n")
        );
    }
}

fn print(reply: &Result<Answer, String>) -> String {
    match reply {
        Ok(Answer::Bytes(bytes)) => format!("{:?}", bytes.escape_ascii().to_string()),
        Ok(Answer::List(items)) => {
            let items: Vec<_> = items.iter().map(|item| print(&Ok(item.clone()))).collect();
            format!("[{}]", items.join(" "))
        }
        other => format!("{other:?}"),
    }
}

async fn same(scripts: &[&str]) {
    let mut pair = Pair::start().await;
    for script in scripts {
        pair.eval(script);
    }
    pair.end();
}

#[tokio::test]
async fn values_are_converted_alike() {
    same(&[
        "return 1",
        "return 3.99",
        "return -3.99",
        "return 1e300",
        "return 0/0",
        "return 'text'",
        "return true",
        "return false",
        "return nil",
        "return",
        "return {1, 2, nil, 4}",
        "return {1, {2, {3}}, 'x', false, true}",
        "return {}",
        "return {ok='fine'}",
        "return {ok='fi\\r\\nne'}",
        "return {err='BAD thing'}",
        "return {err='bad'}",
        "return {err='ERR a\\r\\nb\\n'}",
        "return {double=3.5}",
        "return {double='x'}",
        "return {big_number='123456789012345678901234567890'}",
        "return {verbatim_string={format='txt', string='hello'}}",
        "return {map={a=1}}",
        "return {set={a=true}}",
        "return redis.status_reply('FINE')",
        "return redis.error_reply('MY error')",
        "return redis.error_reply('error')",
        "return redis.error_reply('-MY error')",
        "return redis.error_reply('')",
        "return redis.error_reply(1)",
        "return redis.error_reply()",
        "return redis.status_reply({})",
        "return print",
        "return function() end",
        "return redis.call",
        "return {1, function() end, 3}",
        "return tostring(redis.pcall('get', 'nothing'))",
        "return type(redis.call('set', 'k', 'v'))",
        "return redis.call('set', 'k', 'v').ok",
        "return redis.call('type', 'k')",
        "return redis.call('incr', 'n')",
        "return redis.call('incr', 'n') + 0.5",
        "return redis.call('set', 'f', 0.1) and redis.call('get', 'f')",
        "return redis.call('set', 'f', 1e21) and redis.call('get', 'f')",
        "return redis.call('set', 'f', -1/0) and redis.call('get', 'f')",
        "return redis.call('set', 'f', 12345678901234567890) and redis.call('get', 'f')",
        "return redis.call('set', 'f', 3) and redis.call('get', 'f')",
        "return redis.call('hset', 'h', 'a', '1', 'b', '2')",
        "return redis.call('hmget', 'h', 'a', 'x', 'b')",
        "return #redis.call('hmget', 'h', 'a', 'x', 'b')",
        "return redis.call('hgetall', 'none')",
        "redis.setresp(3) return redis.call('get', 'nothing') == nil",
        "redis.setresp(3) return redis.call('hgetall', 'h').map.a",
        "redis.setresp(3) return true",
        "redis.setresp(3) return false",
        "redis.setresp(4)",
        "redis.setresp()",
        "return redis.sha1hex('')",
        "return redis.sha1hex('abc')",
        "return redis.sha1hex()",
        "return redis.replicate_commands()",
        "return {redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING}",
        "return {redis.REPL_NONE, redis.REPL_AOF, redis.REPL_SLAVE, redis.REPL_REPLICA, redis.REPL_ALL}",
        "return {redis.REDIS_VERSION, redis.REDIS_VERSION_NUM}",
        "return redis.set_repl(redis.REPL_ALL)",
        "return redis.set_repl(9)",
        "return redis.set_repl()",
        "return redis.log(redis.LOG_DEBUG, 'a', 1)",
        "return redis.log(1)",
        "return redis.log('x', 'y')",
        "return redis.log(9, 'y')",
        "return redis.acl_check_cmd('get')",
        "return redis.acl_check_cmd('nothing')",
        "return redis.acl_check_cmd()",
        "return redis.breakpoint()",
        "return redis.debug('x')",
        "return _VERSION",
        "math.randomseed(5) return {math.random(1000000), tostring(math.random()), math.random(5, 6)}",
        "math.randomseed(-7) return {math.random(10), math.random(-5, 5), math.random(1)}",
        "return math.random(0)",
        "return math.random(2, 1)",
        "return math.random(1, 2, 3)",
        "return math.random('x')",
        "return {type(KEYS), type(ARGV), #KEYS, #ARGV}",
    ])
    .await;
}

#[tokio::test]
async fn errors_are_worded_alike() {
    same(&[
        "end",
        "return 1 +",
        "x = ",
        "return 'unfinished",
        "return redis.call('nothing')",
        "return redis.pcall('nothing')",
        "return redis.call('get')",
        "return redis.call()",
        "return redis.pcall()",
        "return redis.call('get', {})",
        "return redis.call('get', nil)",
        "return redis.call('get', true)",
        "return redis.call('eval', 'return 1', 0)",
        "return redis.call('script', 'flush')",
        "return redis.call('script', 'nothing')",
        "return redis.call('object', 'nothing')",
        "redis.call('set', 'k', 'v') return redis.call('hget', 'k', 'f')",
        "redis.call('set', 'k', 'v') return redis.pcall('hget', 'k', 'f')",
        "redis.call('set', 'k', 'v') return redis.call('incr', 'k')",
        "return {pcall(redis.call, 'get')}",
        "return {pcall(redis.call, 'nothing')}",
        "local ok, err = pcall(function() redis.call('get') end) return {ok, err}",
        "local ok, err = pcall(function() error({err='MY error'}) end) return {ok, err}",
        "local ok, err = pcall(function() error({code=7}) end) return {ok, err.code}",
        "local ok, err = pcall(function() error('text') end) return {ok, err}",
        "local ok, err = pcall(function() error('text', 0) end) return {ok, err}",
        "local ok, err = xpcall(function() error('text') end, function(e) return 'handled ' .. e end) return {ok, err}",
        "return pcall(1)",
        "return {pcall(error)}",
        "error('text')",
        "\n\nerror('on line three')",
        "local function f()\n  error('inside')\nend\nf()",
        "local function f()\n  error('blames the caller', 2)\nend\nf()",
        "error('text', 0)",
        "error()",
        "error(nil)",
        "error(true)",
        "error(12)",
        "error({err='MY error'})",
        "error({err='error'})",
        "local t = {} ; t = t.a.b",
        "return nothing",
        "nothing = 1",
        "KEYS = {}",
        "redis = nil",
        "redis.call = nil",
        "string.format = nil",
        "function f() end",
        "rawset(_G, 'a', 1)",
        "rawset(redis, 'a', 1)",
        "setmetatable(_G, {})",
        "setmetatable(string, {})",
        "local t = setmetatable({}, {__index = function(_, k) return k .. '!' end}) return t.x",
        "local t = {} rawset(t, 'a', 1) return {t.a, rawget(t, 'a'), rawequal(t, t) and 1 or 0}",
        "_G.a = 1",
        "return _G.nothing",
        "return _G.redis == redis",
        "return #_G",
        "print('x')",
        "os.time()",
        "io.open('x')",
        "require('x')",
        "dofile('x')",
        "loadfile('x')",
        "debug.getinfo(1)",
        "return newproxy(true)",
        "getfenv(0)",
        "setfenv(1, {})",
        "module('x')",
        "package.path = ''",
        "return loadstring('return 1 + 1')()",
        "return loadstring('nothing = 1')()",
        "return loadstring('return nothing')()",
        "return {loadstring('return +')}",
        "local parts, i = {'return ', '7'}, 0 return load(function() i = i + 1 return parts[i] end)()",
        "return tostring(nil) .. tostring(true) .. tostring(12)",
        "return tonumber('0x10')",
        "return {('x'):rep(3), ('%d'):format(3), ('abc'):upper()}",
        "return {math.floor(3.7), math.max(1, 5), math.huge > 1}",
        "return {unpack({1, 2, 3})}",
        "return {select('#', 1, nil, nil)}",
        "local co = coroutine.wrap(function() coroutine.yield(1) end) return co()",
        "local co = coroutine.create(function() error('x') end) local ok, e = coroutine.resume(co) return {ok, e}",
        "local co = coroutine.wrap(function() return redis.call('nothing') end) return co()",
        "return collectgarbage('count') > 0",
        "local a = {} for i = 1, 3 do a[i] = i * i end table.insert(a, 5) return {table.concat(a, ','), #a}",
        "local t = {3, 1, 2} table.sort(t) return t",
        "return string.format('%5.2f|%s|%q', 3.14159, 'x', 'y')",
        "local n = 0 for k, v in pairs({a = 1, b = 2}) do n = n + v end return n",
        "local n = 0 for k in pairs(redis) do n = n + 1 end return n",
        "return redis.sha1hex({})",
        "return string.rep()",
        "return ('x'):rep(-1)",
        "return math.floor('x')",
        "for i = 1, 'x' do end",
        "return {} .. 'x'",
        "return {} < {}",
        "return #nil",
        "return nil + 1",
        "local x = 'a' return x()",
    ])
    .await;
}

#[tokio::test]
async fn the_first_line_is_read_alike() {
    same(&[
        "#!lua",
        "#!lua\nreturn 1",
        "#!lua \nreturn 1",
        "#!lua flags=\nreturn 1",
        "#!lua flags=no-writes\nreturn redis.call('set', 'k', 'v')",
        "#!lua flags=no-writes\nreturn redis.pcall('set', 'k', 'v')",
        "#!lua flags=no-writes,allow-oom\nreturn redis.call('get', 'nothing')",
        "#!lua flags=allow-stale,no-cluster,allow-cross-slot-keys\nreturn 2",
        "#!lua flags=no-writes,\nreturn 2",
        "#!lua flags=nothing\nreturn 1",
        "#!lua name=x\nreturn 1",
        "#!lua flags=no-writes flags=allow-oom\nreturn 3",
        "#!lua  flags=no-writes\nreturn 3",
        "#!python\nreturn 1",
        "#!\nreturn 1",
        "#! lua\nreturn 1",
        "#!lua flags=no-writes\nerror('on line two')",
        "#!lua flags=no-writes\n\nreturn +",
    ])
    .await;
}

#[tokio::test]
async fn scripts_are_named_and_counted_alike() {
    let mut pair = Pair::start().await;
    let sha = b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db".as_slice();
    let commands: &[&[&[u8]]] = &[
        &[b"EVALSHA", sha, b"0"],
        &[b"EVALSHA", b"short", b"0"],
        &[b"SCRIPT", b"EXISTS", sha],
        &[b"SCRIPT", b"LOAD", b"return 1"],
        &[b"SCRIPT", b"LOAD", b"return +"],
        &[b"SCRIPT", b"EXISTS", sha, b"short", sha],
        &[b"EVALSHA", sha, b"0"],
        &[b"EVALSHA", sha, b"1"],
        &[b"EVALSHA", sha, b"-1"],
        &[b"EVALSHA", sha, b"x"],
        &[b"EVALSHA", sha],
        &[b"EVAL", b"return {KEYS, ARGV}", b"2", b"a", b"b", b"c"],
        &[b"EVAL_RO", b"return redis.call('get', KEYS[1])", b"1", b"a"],
        &[b"EVAL_RO", b"return redis.call('set', KEYS[1], 'x')", b"1", b"a"],
        &[b"EVAL_RO", b"#!lua\nreturn 1", b"0"],
        &[b"EVAL_RO", b"#!lua flags=no-writes\nreturn 1", b"0"],
        &[b"EVALSHA_RO", sha, b"0"],
        &[b"SCRIPT", b"KILL"],
        &[b"SCRIPT", b"FLUSH", b"LATER"],
        &[b"SCRIPT", b"FLUSH", b"SYNC", b"x"],
        &[b"SCRIPT", b"FLUSH", b"ASYNC"],
        &[b"SCRIPT", b"EXISTS", sha],
        &[b"SCRIPT", b"NOTHING"],
        &[b"SCRIPT"],
        &[b"SCRIPT", b"LOAD"],
        &[b"SCRIPT", b"DEBUG", b"NO"],
        &[b"SCRIPT", b"DEBUG", b"MAYBE"],
        &[b"SCRIPT", b"HELP"],
        &[
            b"EVAL",
            b"redis.call('select', 3) return redis.call('set', 'there', '1')",
            b"0",
        ],
        &[b"GET", b"there"],
        &[b"SELECT", b"3"],
        &[b"GET", b"there"],
    ];
    for command in commands {
        pair.run(command);
    }
    pair.end();
}

#[tokio::test]
async fn struct_packs_and_unpacks_alike() {
    same(&[
        "return struct.pack('>d', 1234.5)",
        "return struct.pack('<d', -0.1)",
        "return struct.pack('>dd', 1, 2)",
        "return struct.pack('>I4I4', 4294967295, 1)",
        "return struct.pack('>I4', 4294967296)",
        "return struct.pack('>I4', -1)",
        "return struct.pack('>i2', -2)",
        "return struct.pack('bBhHlLiI', -1, 255, -2, 65535, -3, 4, -5, 6)",
        "return struct.pack('>bBhHlLiI', -1, 255, -2, 65535, -3, 4, -5, 6)",
        "return struct.pack('>T', 77)",
        "return struct.pack('>L', 2^63)",
        "return struct.pack('>L', 18446744073709549568)",
        "return struct.pack('>l', -2^63)",
        "return struct.pack('>I16', 5)",
        "return struct.pack('<I16', 5)",
        "return struct.pack('>i16', -5)",
        "return struct.pack('>I3', 66051)",
        "return struct.pack('<f', 1.5)",
        "return struct.pack('>f', 0.1)",
        "return struct.pack('s', 'abc')",
        "return struct.pack('c5', 'abcdefg')",
        "return struct.pack('c5', 'abc')",
        "return struct.pack('c0', 'abc')",
        "return struct.pack('c', 'abc')",
        "return struct.pack('Bc0', 3, 'abc')",
        "return struct.pack('bxb', 1, 2)",
        "return struct.pack('!4bi', 1, 2)",
        "return struct.pack('!bd', 1, 2)",
        "return struct.pack('!8bhbl', 1, 2, 3, 4)",
        "return struct.pack('!2bi', 1, 2)",
        "return struct.pack('!3b', 1)",
        "return struct.pack('!0b', 1)",
        "return struct.pack('q', 1)",
        "return struct.pack('>i33', 1)",
        "return struct.pack('>i99999999999', 1)",
        "return struct.pack('b')",
        "return struct.pack('b', 'x')",
        "return struct.pack('b', '7')",
        "return struct.pack('s', 12)",
        "return struct.pack('s', {})",
        "return struct.pack()",
        "return struct.pack('')",
        "return struct.pack('b b', 1, 2)",
        "return struct.pack('B', 3.99)",
        "return struct.pack('B', 300)",
        "return {struct.unpack('>dd', struct.pack('>dd', 1, 2))}",
        "return {struct.unpack('>I4', 'abcdefgh', 3)}",
        "return {struct.unpack('>i4', '\\255\\255\\255\\254')}",
        "return {struct.unpack('<i4', '\\254\\255\\255\\255')}",
        "return {struct.unpack('bBhHlLiI', struct.pack('bBhHlLiI', -1, 255, -2, 65535, -3, 4, -5, 6))}",
        "return {struct.unpack('>i3', '\\255\\255\\254')}",
        "return {struct.unpack('>I3', '\\255\\255\\254')}",
        "return {struct.unpack('>f', struct.pack('>f', 2.5))}",
        "return {struct.unpack('s', 'abc\\0def')}",
        "return {struct.unpack('ss', 'abc\\0def\\0')}",
        "return {struct.unpack('s', 'abc')}",
        "return {struct.unpack('c3', 'abcdef')}",
        "return {struct.unpack('c9', 'abcdef')}",
        "return {struct.unpack('Bc0', '\\3abcdef')}",
        "return {struct.unpack('Bc0B', '\\3abc\\7')}",
        "return {struct.unpack('c0', 'abc')}",
        "return {struct.unpack('Bc0', '\\9abc')}",
        "return {struct.unpack('BBc0B', '\\1\\2abcdef')}",
        "return {struct.unpack('Bxc0', '\\2-abc')}",
        "return {struct.unpack('bxb', '\\1\\2\\3')}",
        "return {struct.unpack('!4bi', '\\1\\0\\0\\0\\2\\0\\0\\0')}",
        "return {struct.unpack('d', 'abc')}",
        "return {struct.unpack('b', '')}",
        "return {struct.unpack('b', 'abc', 4)}",
        "return {struct.unpack('b', 'abc', 3)}",
        "return {struct.unpack('b', 'abc', 0)}",
        "return {struct.unpack('b', 'abc', -1)}",
        "return {struct.unpack('b', 'abc', 2.9)}",
        "return {struct.unpack('b', 'abc', 'x')}",
        "return {struct.unpack('q', 'abc')}",
        "return {struct.unpack('b')}",
        "return {struct.unpack('>i16', struct.pack('>i16', 5))}",
        "return struct.size('>dd')",
        "return struct.size('!8bd')",
        "return struct.size('bi3c7')",
        "return struct.size('s')",
        "return struct.size('c0')",
        "return struct.size('q')",
        "return {pcall(struct.pack, '>q', 1)}",
        "return (struct.unpack('>d', struct.pack('>d', 1755555555555)))",
        "return string.format('%.0f', struct.unpack('>L', '\\0\\31\\255\\255\\255\\255\\255\\255'))",
    ])
    .await;
}

#[tokio::test]
async fn bit_computes_alike() {
    same(&[
        "return {bit.tobit(0xffffffff), bit.tobit(2^32 + 5), bit.tobit(-1), bit.tobit(1.5), bit.tobit(2.5)}",
        "return {bit.bnot(0), bit.bnot(0x12345678), bit.bswap(0x12345678)}",
        "return {bit.band(0xff, 0x0f, 0x03), bit.bor(1, 2, 4), bit.bxor(0xff, 0x0f, 1)}",
        "return {bit.lshift(1, 31), bit.lshift(1, 32), bit.rshift(-1, 28), bit.arshift(-256, 4), bit.rshift(256, 40)}",
        "return {bit.rol(0x12345678, 12), bit.ror(0x12345678, 12)}",
        "return {bit.tohex(1), bit.tohex(-1), bit.tohex(0xabcdef, 4), bit.tohex(0xabcdef, -6), bit.tohex(255, 0), bit.tohex(255, 20)}",
        "return {bit.tohex(255, -20)}",
        "return bit.band()",
        "return bit.band('x')",
        "return bit.band('7', 3)",
        "return bit.lshift(1)",
        "return bit.tohex(1, 'x')",
    ])
    .await;
}

#[tokio::test]
async fn cjson_reads_and_writes_alike() {
    same(&[
        "return cjson.encode({})",
        "return cjson.encode({1, 2, 'x', true, cjson.null})",
        "return cjson.encode({a = {b = {1, {}}}})",
        "return cjson.encode('a\"\\\\/\\b\\t\\n\\f\\r\\0\\1\\127\\195\\169')",
        "return cjson.encode(3.14159265358979)",
        "return cjson.encode(0.1)",
        "return cjson.encode(1e15)",
        "return cjson.encode(123456789012345)",
        "return cjson.encode(-0.5)",
        "return cjson.encode(1/0)",
        "return cjson.encode(0/0)",
        "return cjson.encode(nil)",
        "return cjson.encode(cjson.null)",
        "return cjson.encode(print)",
        "return cjson.encode(function() end)",
        "return cjson.encode({[1] = 1, [2] = 2, [4] = 4})",
        "return cjson.encode({[1] = 1, [11] = 2})",
        "return cjson.encode({[1] = 1, [10] = 2})",
        "return cjson.encode({[0] = 1})",
        "return cjson.encode({[1.5] = 1})",
        "return cjson.encode({[true] = 1})",
        "return cjson.encode({1, 2, x = 3}):len()",
        "return cjson.encode()",
        "return cjson.encode(1, 2)",
        "local t = {} for i = 1, 1000 do t = {t} end return cjson.encode(t):len()",
        "local t = {} t[1] = t return cjson.encode(t)",
        "return cjson.decode('[1, 2, [3, {\"a\": null}], true, false, \"x\"]')",
        "return cjson.decode('{\"a\": 1.5}').a * 2",
        "return cjson.decode('[]')",
        "return cjson.decode('{}')",
        "return cjson.decode('null') == cjson.null",
        "return cjson.decode(' 7 ')",
        "return cjson.decode('\"\\\\u00e9\\\\ud83d\\\\ude00\\\\n\\\\/\"')",
        "return cjson.decode('\"\\\\ud83d\"')",
        "return cjson.decode('\"\\\\u12\"')",
        "return cjson.decode('\"\\\\x\"')",
        "return cjson.decode('\"open')",
        "return cjson.decode('[1, 2')",
        "return cjson.decode('[1 2]')",
        "return cjson.decode('[1,]')",
        "return cjson.decode('{\"a\" 1}')",
        "return cjson.decode('{a: 1}')",
        "return cjson.decode('{\"a\": 1,}')",
        "return cjson.decode('{\"a\": 1 \"b\"}')",
        "return cjson.decode('{\"a\":}')",
        "return cjson.decode('1 2')",
        "return cjson.decode('')",
        "return cjson.decode('tru')",
        "return cjson.decode('truex')",
        "return cjson.decode('-')",
        "return cjson.decode('[-]')",
        "return cjson.decode('1e5')",
        "return cjson.decode('1.5e+2')",
        "return cjson.decode('-12')",
        "return cjson.decode('0x1f')",
        "return tostring(cjson.decode('inf'))",
        "return tostring(cjson.decode('[nan]')[1])",
        "return cjson.decode('@')",
        "return cjson.decode()",
        "return cjson.decode({})",
        "return cjson.decode('\\0\\0')",
        "return cjson.decode(('['):rep(1001) .. (']'):rep(1001))",
        "return #cjson.decode(('['):rep(1000) .. (']'):rep(1000))",
        "return cjson.encode(cjson.decode('{\"k\":[1,{\"x\":\"y\"}]}'))",
        "return tostring(cjson.null)",
        "return cjson._NAME .. cjson._VERSION",
        "return cjson.encode_max_depth()",
        "return cjson.decode_max_depth()",
        "return cjson.encode_number_precision()",
        "return {cjson.encode_sparse_array()}",
        "return cjson.encode_keep_buffer()",
        "return cjson.encode_invalid_numbers()",
        "return cjson.decode_invalid_numbers()",
    ])
    .await;
}

#[tokio::test]
async fn cmsgpack_reads_and_writes_alike() {
    same(&[
        "return cmsgpack.pack(0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 2^53)",
        "return cmsgpack.pack(-1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649)",
        "return cmsgpack.pack(0.5, 0.1, 1e300, 1/0, -1/0)",
        "return cmsgpack.pack(2^63, -2^63)",
        "return cmsgpack.pack(nil, true, false)",
        "return cmsgpack.pack('', 'x', ('x'):rep(31), ('x'):rep(32))",
        "return redis.sha1hex(cmsgpack.pack(('x'):rep(255), ('x'):rep(256), ('x'):rep(65536)))",
        "return cmsgpack.pack({}, {1, 2, 3}, {a = 1}, {[2] = 1}, {1, nil, 3})",
        "local t = {} for i = 1, 20 do t[i] = i end return cmsgpack.pack(t)",
        "local t = {} for i = 1, 20 do t['k'] = t end return cmsgpack.pack(t)",
        "return cmsgpack.pack(print)",
        "return cmsgpack.pack(function() end)",
        "return cmsgpack.pack()",
        "return {cmsgpack.unpack(cmsgpack.pack(1, -5, 300, 70000, -70000, 5000000000, 'text', true, {1, {2}}))}",
        "return {cmsgpack.unpack(cmsgpack.pack(0.5))}",
        "return tostring(cmsgpack.unpack(cmsgpack.pack(0.1)))",
        "return cmsgpack.unpack(cmsgpack.pack({a = {b = 'c'}})).a.b",
        "return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3))}",
        "return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 2)}",
        "return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 9)}",
        "return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 2)}",
        "return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 2, 1)}",
        "return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), -1)}",
        "return {cmsgpack.unpack_limit('x')}",
        "return {cmsgpack.unpack('')}",
        "return {cmsgpack.unpack('\\193')}",
        "return {cmsgpack.unpack('\\205\\1')}",
        "return {cmsgpack.unpack('\\146\\1')}",
        "return {cmsgpack.unpack('\\196\\3abc\\197\\0\\1x')}",
        "return cmsgpack.unpack({})",
        "return cmsgpack._NAME .. cmsgpack._VERSION",
    ])
    .await;
}
