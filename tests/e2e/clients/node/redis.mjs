// SPDX-License-Identifier: BSD-3-Clause
// node-redis, unchanged, over RESP2 and RESP3.
import assert from "node:assert/strict";
import { test, after } from "node:test";
import { createClient, defineScript } from "redis";

const [host, port] = process.argv[2].split(":");
const opened = [];
const connect = async (options = {}) => {
  const client = createClient({ socket: { host, port: Number(port) }, ...options });
  opened.push(client);
  return client.connect();
};
after(() => opened.forEach((client) => client.destroy()));

for (const RESP of [2, 3]) {
  test(`RESP${RESP}`, async (t) => {
    const twice = defineScript({
      NUMBER_OF_KEYS: 1,
      SCRIPT: "return redis.call('incrby', KEYS[1], ARGV[1] * 2)",
      parseCommand(parser, key, by) {
        parser.pushKey(key);
        parser.push(String(by));
      },
      transformReply: (reply) => reply,
    });
    const client = await connect({ RESP, name: "node", scripts: { twice } });
    await client.flushAll();

    await t.test("strings", async () => {
      assert.equal(await client.set("s", "v", { EX: 100 }), "OK");
      assert.equal(await client.set("s", "w", { NX: true }), null);
      assert.ok((await client.ttl("s")) > 90);
      assert.deepEqual(await client.mGet(["s", "none"]), ["v", null]);
      assert.equal(await client.clientGetName(), "node");
    });
    await t.test("collections", async () => {
      assert.equal(await client.hSet("h", { a: "1", b: "2" }), 2);
      assert.deepEqual({ ...(await client.hGetAll("h")) }, { a: "1", b: "2" });
      assert.equal(await client.rPush("l", ["1", "2"]), 2);
      assert.deepEqual(await client.lRange("l", 0, -1), ["1", "2"]);
      assert.equal(await client.sAdd("set", ["a", "b"]), 2);
      assert.deepEqual([...(await client.sMembers("set"))].sort(), ["a", "b"]);
      assert.equal(await client.zAdd("z", [{ score: 1, value: "a" }, { score: 2.5, value: "b" }]), 2);
      assert.deepEqual(await client.zRangeWithScores("z", 0, -1), [{ value: "a", score: 1 }, { value: "b", score: 2.5 }]);
      assert.equal(await client.zScore("z", "b"), 2.5);
      assert.deepEqual(await client.zPopMin("z"), { value: "a", score: 1 });
    });
    await t.test("transactions", async () => {
      assert.deepEqual(await client.multi().set("t", "1").incr("t").exec(), ["OK", 2]);
      await client.watch("t");
      await (await connect()).set("t", "9");
      await assert.rejects(client.multi().incr("t").exec(), /watched keys/i);
    });
    await t.test("scripts", async () => {
      await client.set("n", "1");
      assert.equal(await client.twice("n", 4), 9);
      assert.equal(await client.eval("return #ARGV", { keys: [], arguments: ["a", "b"] }), 2);
    });
    await t.test("publish and subscribe", async () => {
      const subscriber = await connect({ RESP });
      const heard = new Promise((done) => subscriber.subscribe("news", (text, channel) => done([channel, text])));
      while ((await client.publish("news", "hello")) === 0);
      assert.deepEqual(await heard, ["news", "hello"]);
    });
    await t.test("blocking", async () => {
      const other = await connect({ RESP });
      const waiting = other.blPop("bl", 20);
      await client.rPush("bl", "x");
      assert.deepEqual({ ...(await waiting) }, { key: "bl", element: "x" });
      assert.equal(await client.blPop("nothing here", Number.MIN_VALUE), null); // 5e-324 seconds
    });
    await t.test("streams", async () => {
      const id = await client.xAdd("x", "*", { f: "v" });
      const [entry] = await client.xRange("x", "-", "+");
      assert.equal(entry.id, id);
      assert.deepEqual({ ...entry.message }, { f: "v" });
    });
    await t.test("walks", async () => {
      await Promise.all(Array.from({ length: 500 }, (_, i) => client.set(`walk:${i}`, "x")));
      const seen = new Set();
      for await (const keys of client.scanIterator({ MATCH: "walk:*", COUNT: 50 })) keys.forEach((k) => seen.add(k));
      assert.equal(seen.size, 500);
    });
  });
}

test("client-side caching", async () => {
  const client = await connect({ RESP: 3, clientSideCache: { ttl: 0, maxEntries: 100 } });
  const writer = await connect();
  await writer.set("csc", "1");
  assert.equal(await client.get("csc"), "1");
  await writer.set("csc", "2");
  const end = Date.now() + 20000;
  while ((await client.get("csc")) !== "2") {
    assert.ok(Date.now() < end, "the client was never told");
    await new Promise(setImmediate);
  }
});
