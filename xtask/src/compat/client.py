"""What a Python service does with redis-py, against the server at argv[1]:argv[2], in both protocols."""

import sys
import threading

import redis

HOST, PORT = sys.argv[1], int(sys.argv[2])


def connect(**options):
    return redis.Redis(host=HOST, port=PORT, decode_responses=True, socket_timeout=20, **options)


def data(r):
    r.flushdb()
    assert r.ping()
    assert r.set("k", "v", ex=100) and r.get("k") == "v" and 0 < r.ttl("k") <= 100
    assert r.set("k", "w", nx=True) is None
    assert r.incr("n") == 1 and r.incrby("n", 41) == 42 and r.incrbyfloat("f", 1.5) == 1.5
    assert r.mset({"a": 1, "b": 2}) and r.mget("a", "b", "none") == ["1", "2", None]
    assert r.hset("h", mapping={"x": 1, "y": 2}) == 2 and r.hgetall("h") == {"x": "1", "y": "2"}
    assert r.rpush("l", 1, 2, 3) == 3 and r.lrange("l", 0, -1) == ["1", "2", "3"] and r.lpop("l", 2) == ["1", "2"]
    assert r.sadd("s", "a", "b") == 2 and r.smembers("s") == {"a", "b"} and r.sismember("s", "a")
    assert r.zadd("z", {"one": 1, "half": 0.5}) == 2 and r.zscore("z", "half") == 0.5
    assert [tuple(pair) for pair in r.zrange("z", 0, -1, withscores=True)] == [("half", 0.5), ("one", 1.0)]
    r.mset({f"scan:{i}": i for i in range(500)})
    assert len(set(r.scan_iter("scan:*", count=50))) == 500
    try:
        r.incr("k")
    except redis.ResponseError as error:
        assert str(error) == "value is not an integer or out of range", error
    else:
        raise AssertionError("a string is no number")


def transactions(r):
    with r.pipeline() as pipe:
        pipe.set("p", 1).incr("p").get("p")
        assert pipe.execute() == [True, 2, "2"]
    with r.pipeline() as pipe:
        pipe.watch("p")
        r.set("p", 9)
        pipe.multi()
        pipe.set("p", 3)
        try:
            pipe.execute()
        except redis.WatchError:
            pass
        else:
            raise AssertionError("the watched key changed")
    script = r.register_script("return redis.call('GET', KEYS[1]) .. ARGV[1]")
    assert script(keys=["p"], args=["!"]) == "9!"


def messages(r):
    listener = r.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("news")
    listener.psubscribe("n*")
    # The first call reads the confirmations.
    while r.pubsub_numsub("news") != [("news", 1)] or r.pubsub_numpat() != 1:
        pass
    assert r.publish("news", "hello") == 2
    got = []
    while len(got) < 2:
        message = listener.get_message(timeout=20)
        if message:
            got.append((message["type"], message["data"]))
    assert sorted(got) == [("message", "hello"), ("pmessage", "hello")], got
    listener.close()


def lock(r):
    total = []

    def work():
        with r.lock("lock", timeout=10, blocking_timeout=20):
            seen = int(r.get("shared") or 0)
            r.set("shared", seen + 1)
            total.append(seen)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(total) == list(range(8)), total


def introspection(r):
    assert r.info("server")["redis_version"]
    assert r.config_get("maxmemory")["maxmemory"] == "0"
    assert r.client_setname("compat") and r.client_getname() == "compat" and r.client_id() > 0
    assert any(client["name"] == "compat" for client in r.client_list())
    assert r.command_count() > 100


for protocol in (2, 3):
    client = connect(protocol=protocol)
    for part in (data, transactions, messages, lock, introspection):
        part(client)
print("ok")
