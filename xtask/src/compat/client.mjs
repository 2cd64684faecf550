// What a Node service does with ioredis, against the server at argv[2]:argv[3].

import assert from "node:assert/strict";
import Redis from "ioredis";

const [host, port] = [process.argv[2], Number(process.argv[3])];
const connect = () => new Redis({ host, port, connectTimeout: 20_000, maxRetriesPerRequest: 1 });
const redis = connect();

async function data() {
  await redis.flushdb();
  assert.equal(await redis.ping(), "PONG");
  assert.equal(await redis.set("k", "v", "EX", 100), "OK");
  assert.equal(await redis.get("k"), "v");
  assert.equal(await redis.set("k", "w", "NX"), null);
  assert.equal(await redis.incrby("n", 42), 42);
  assert.deepEqual(await redis.getBuffer("k"), Buffer.from("v"));
  assert.equal(await redis.hset("h", { x: 1, y: 2 }), 2);
  assert.deepEqual(await redis.hgetall("h"), { x: "1", y: "2" });
  assert.equal(await redis.rpush("l", 1, 2, 3), 3);
  assert.deepEqual(await redis.lrange("l", 0, -1), ["1", "2", "3"]);
  assert.equal(await redis.sadd("s", "a", "b"), 2);
  assert.equal(await redis.zadd("z", 1, "one", 0.5, "half"), 2);
  assert.deepEqual(await redis.zrange("z", 0, -1, "WITHSCORES"), ["half", "0.5", "one", "1"]);
  await assert.rejects(redis.incr("k"), /value is not an integer or out of range/);
}

async function pipelines() {
  const answers = await redis.pipeline().set("p", 1).incr("p").get("p").exec();
  assert.deepEqual(answers, [[null, "OK"], [null, 2], [null, "2"]]);
  assert.deepEqual(await redis.multi().incr("p").incr("p").exec(), [[null, 3], [null, 4]]);
  redis.defineCommand("append2", { numberOfKeys: 1, lua: "return redis.call('GET', KEYS[1]) .. ARGV[1]" });
  assert.equal(await redis.append2("p", "!"), "4!");
}

async function scans() {
  const many = redis.pipeline();
  for (let i = 0; i < 500; i += 1) many.set(`scan:${i}`, i);
  await many.exec();
  const seen = new Set();
  for await (const keys of redis.scanStream({ match: "scan:*", count: 50 })) keys.forEach((key) => seen.add(key));
  assert.equal(seen.size, 500);
}

async function messages() {
  const listener = connect();
  const heard = new Promise((resolve) => listener.on("message", (channel, text) => resolve([channel, text])));
  assert.equal(await listener.subscribe("news"), 1);
  assert.equal(await redis.publish("news", "hello"), 1);
  assert.deepEqual(await heard, ["news", "hello"]);
  listener.disconnect();
}

await data();
await pipelines();
await scans();
await messages();
await redis.quit();
console.log("ok");
