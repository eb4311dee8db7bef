// SPDX-License-Identifier: BSD-3-Clause
// BullMQ, unchanged: workers, delayed and repeated jobs, priorities, retries, flows, events, a stalled job.
import assert from "node:assert/strict";
import { test, after } from "node:test";
import { FlowProducer, Queue, QueueEvents, Worker } from "bullmq";
import Redis from "ioredis";

const [host, port] = process.argv[2].split(":");
const connection = { host, port: Number(port), db: 0 };
const opened = [];
const open = (thing) => {
  opened.push(thing);
  return thing;
};
after(async () => {
  await Promise.all(opened.reverse().map((thing) => thing.close()));
});

const plainRedis = () => {
  const redis = new Redis(connection);
  open({ close: () => redis.disconnect() });
  return redis;
};

const outcome = (worker, event, count) =>
  new Promise((done) => {
    const seen = [];
    worker.on(event, (...args) => {
      seen.push(args);
      if (seen.length === count) done(seen);
    });
  });

test("sees a Redis it can trust with jobs", async () => {
  const redis = plainRedis();
  const info = await redis.info();
  assert.match(info, /redis_version:7\.2\.4/);
  assert.match(info, /maxmemory_policy:noeviction/);
});

test("a worker takes jobs in order and returns results", async () => {
  const queue = open(new Queue("plain", { connection }));
  const events = open(new QueueEvents("plain", { connection }));
  await events.waitUntilReady();
  const order = [];
  const jobs = await queue.addBulk(Array.from({ length: 100 }, (_, n) => ({ name: "double", data: { n } })));
  open(new Worker("plain", async (job) => {
    order.push(job.data.n);
    return job.data.n * 2;
  }, { connection }));
  const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 60000)));
  assert.deepEqual(results, Array.from({ length: 100 }, (_, n) => n * 2));
  assert.deepEqual(order, Array.from({ length: 100 }, (_, n) => n));
  assert.deepEqual(await queue.getJobCounts("waiting", "active", "completed", "failed"),
    { waiting: 0, active: 0, completed: 100, failed: 0 });
});

test("priorities, delays, retries and a failed job", async () => {
  const queue = open(new Queue("busy", { connection }));
  await queue.add("low", {}, { priority: 10 });
  await queue.add("high", {}, { priority: 1 });
  await queue.add("later", {}, { delay: 300 });
  await queue.add("flaky", {}, { attempts: 3, backoff: { type: "fixed", delay: 50 }, priority: 5 });
  await queue.add("hopeless", {}, { attempts: 2, priority: 6 });
  const seen = [];
  const worker = open(new Worker("busy", async (job) => {
    seen.push(job.name);
    if (job.name === "flaky" && job.attemptsMade < 2) throw new Error("not yet");
    if (job.name === "hopeless") throw new Error("never");
  }, { connection, autorun: false }));
  const finished = outcome(worker, "completed", 4);
  worker.run();
  await finished;
  assert.ok(seen.indexOf("high") < seen.indexOf("low"));
  assert.equal(seen.filter((name) => name === "flaky").length, 3);
  const end = Date.now() + 30000;
  while ((await queue.getFailedCount()) !== 1) assert.ok(Date.now() < end);
  const [failed] = await queue.getFailed();
  assert.equal(failed.name, "hopeless");
  assert.equal(failed.failedReason, "never");
  await failed.retry();
});

test("a repeated job comes again", async () => {
  const queue = open(new Queue("clock", { connection }));
  await queue.upsertJobScheduler("tick", { every: 200 }, { name: "tick" });
  const worker = open(new Worker("clock", async () => {}, { connection }));
  await outcome(worker, "completed", 3);
  assert.equal((await queue.getJobSchedulers()).length, 1);
  assert.equal(await queue.removeJobScheduler("tick"), true);
});

test("a flow: the parent runs after its children", async () => {
  const order = [];
  open(new Worker("steps", async (job) => {
    order.push(job.name);
    return job.name.toUpperCase();
  }, { connection }));
  const parent = open(new Worker("parents", async (job) => {
    order.push(job.name);
    return Object.values(await job.getChildrenValues()).sort();
  }, { connection }));
  const finished = outcome(parent, "completed", 1);
  await open(new FlowProducer({ connection })).add({
    name: "ship", queueName: "parents",
    children: [{ name: "pack", queueName: "steps" }, { name: "pay", queueName: "steps" }],
  });
  const [[, result]] = await finished;
  assert.deepEqual(result, ["PACK", "PAY"]);
  assert.equal(order.at(-1), "ship");
});

test("a job whose worker died is run by another", async () => {
  const queue = open(new Queue("stall", { connection }));
  await queue.add("job", {});
  const dying = new Worker("stall", () => new Promise(() => {}), {
    connection, lockDuration: 500, skipLockRenewal: true, skipStalledCheck: true });
  await new Promise((done) => dying.on("active", done));
  const heir = open(new Worker("stall", async () => "saved", {
    connection, lockDuration: 500, stalledInterval: 200 }));
  const [[job, result]] = await outcome(heir, "completed", 1);
  assert.equal(result, "saved");
  assert.equal(job.name, "job");
  await dying.close(true);
});

test("pausing, draining, obliterating", async () => {
  const queue = open(new Queue("paused", { connection }));
  await queue.pause();
  await queue.addBulk([{ name: "a", data: {} }, { name: "b", data: {} }]);
  assert.equal(await queue.isPaused(), true);
  assert.equal(await queue.count(), 2);
  await queue.drain();
  assert.equal(await queue.count(), 0);
  await queue.obliterate({ force: true });
  assert.deepEqual(await plainRedis().keys("bull:paused:*"), []);
});

test("events are trimmed by whole nodes, as Redis does", async () => {
  const queue = open(new Queue("trimmed", { connection, streams: { events: { maxLen: 20 } } }));
  const worker = open(new Worker("trimmed", async () => {}, { connection, autorun: false }));
  const done = outcome(worker, "completed", 80);
  await queue.addBulk(Array.from({ length: 80 }, (_, i) => ({ name: "job", data: { i } })));
  worker.run();
  await done;
  const length = await plainRedis().xlen("bull:trimmed:events");
  assert.ok(length >= 20 && length <= 60, `${length} events`);
});
