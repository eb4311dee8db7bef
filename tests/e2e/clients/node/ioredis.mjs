// SPDX-License-Identifier: BSD-3-Clause
// ioredis, unchanged: types, pipelines, transactions, scripts, pub/sub, blocking, scanning, keyPrefix.
import assert from "node:assert/strict";
import { test, after } from "node:test";
import Redis from "ioredis";

const [host, port] = process.argv[2].split(":");
const opened = [];
const connect = (options = {}) => {
  const client = new Redis({ host, port: Number(port), db: 0, ...options });
  opened.push(client);
  return client;
};
const redis = connect();
after(() => opened.forEach((client) => client.disconnect()));

test("becomes ready after its check of INFO", async () => {
  await redis.flushall();
  assert.equal(await redis.ping(), "PONG");
  assert.equal(redis.status, "ready");
});

test("strings, numbers and expiry", async () => {
  assert.equal(await redis.set("s", "v", "EX", 100), "OK");
  assert.equal(await redis.set("s", "w", "NX"), null);
  assert.ok((await redis.ttl("s")) > 90);
  assert.equal(await redis.incrby("n", 5), 5);
  assert.equal(await redis.incrbyfloat("n", 0.5), "5.5");
  assert.deepEqual(await redis.mget("s", "none", "n"), ["v", null, "5.5"]);
  const bytes = Buffer.from([0, 1, 255, 13, 10]);
  await redis.set("bytes", bytes);
  assert.deepEqual(await redis.getBuffer("bytes"), bytes);
});

test("hashes, lists, sets, sorted sets", async () => {
  assert.equal(await redis.hset("h", { a: 1, b: 2 }), 2);
  assert.deepEqual(await redis.hgetall("h"), { a: "1", b: "2" });
  assert.equal(await redis.rpush("l", 1, 2, 3), 3);
  assert.deepEqual(await redis.lrange("l", 0, -1), ["1", "2", "3"]);
  assert.equal(await redis.sadd("set", "a", "b", "a"), 2);
  assert.deepEqual((await redis.smembers("set")).sort(), ["a", "b"]);
  assert.equal(await redis.zadd("z", 1, "one", 2.5, "two"), 2);
  assert.deepEqual(await redis.zrange("z", 0, -1, "WITHSCORES"), ["one", "1", "two", "2.5"]);
  assert.deepEqual(await redis.zpopmin("z"), ["one", "1"]);
  await assert.rejects(redis.lpush("h", "x"), /WRONGTYPE/);
});

test("a pipeline and a transaction", async () => {
  const answers = await redis.pipeline().set("p", 1).incr("p").get("p").exec();
  assert.deepEqual(answers, [[null, "OK"], [null, 2], [null, "2"]]);
  assert.deepEqual(await redis.multi().set("t", 1).incr("t").exec(), [[null, "OK"], [null, 2]]);
  await redis.watch("t");
  await connect().set("t", 9);
  assert.equal(await redis.multi().incr("t").exec(), null);
});

test("its own commands are scripts", async () => {
  redis.defineCommand("twice", { numberOfKeys: 1, lua: "return redis.call('incrby', KEYS[1], ARGV[1] * 2)" });
  await redis.set("script", 1);
  assert.equal(await redis.twice("script", 4), 9);
  assert.equal(await redis.twice("script", 1), 11);
  assert.deepEqual(await redis.pipeline().twice("script", 1).get("script").exec(), [[null, 13], [null, "13"]]);
});

test("publish and subscribe", async () => {
  const subscriber = connect();
  await subscriber.subscribe("news");
  await subscriber.psubscribe("ev*");
  const heard = new Promise((done) => {
    const seen = [];
    subscriber.on("message", (channel, text) => seen.push([channel, text]));
    subscriber.on("pmessage", (pattern, channel, text) => {
      seen.push([pattern, channel, text]);
      done(seen);
    });
  });
  assert.equal(await redis.publish("news", "hello"), 1);
  assert.equal(await redis.publish("event", "x"), 1);
  assert.deepEqual(await heard, [["news", "hello"], ["ev*", "event", "x"]]);
});

test("blocks until somebody pushes", async () => {
  const waiting = connect().blpop("bl", 20);
  await redis.rpush("bl", "x");
  assert.deepEqual(await waiting, ["bl", "x"]);
  assert.equal(await connect().blpop("bl", 0.05), null);
});

test("walks over all keys", async () => {
  const pipeline = redis.pipeline();
  for (let i = 0; i < 1000; i++) pipeline.set(`walk:${i}`, i);
  await pipeline.exec();
  const seen = new Set();
  for await (const keys of redis.scanStream({ match: "walk:*", count: 100 })) keys.forEach((k) => seen.add(k));
  assert.equal(seen.size, 1000);
});

test("streams", async () => {
  const id = await redis.xadd("x", "*", "field", "value");
  assert.deepEqual(await redis.xrange("x", "-", "+"), [[id, ["field", "value"]]]);
  const reading = connect().xread("BLOCK", 20000, "STREAMS", "x", id);
  const next = await redis.xadd("x", "*", "f", "2");
  assert.deepEqual(await reading, [["x", [[next, ["f", "2"]]]]]);
});

test("keyPrefix and another database", async () => {
  const other = connect({ db: 1, keyPrefix: "app:" });
  await other.set("k", "v");
  assert.equal(await connect({ db: 1 }).get("app:k"), "v");
  assert.equal(await redis.get("app:k"), null);
});
