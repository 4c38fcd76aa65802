/** A feed with real streams (read by fetch from a service of the test's own) and a clock of the test's own. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Feed } from "../../sse_progress/browser/client/feed.js";
import { OPENING_MS, SILENCE_MS } from "../../sse_progress/browser/client/link.js";
import { Service } from "../../sse_progress/browser/client/service.js";

/** Every stream that was asked for: its request headers, and a way to feed and end it. */
let streams;
let answers;
let reads;
let readResult;
let feed;
let links;
let frames;
let refused;

beforeEach(() => {
  [streams, answers, reads, links, frames, refused] = [[], [], [], [], [], []];
  readResult = async () => "away";
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  mock.method(Math, "random", () => 0.9999999);
  mock.method(globalThis, "fetch", async (url, { headers, signal }) => {
    const status = answers.shift() ?? 200;
    if (status === 0) throw new TypeError("no network");
    let controller;
    const body = new ReadableStream({ start: (it) => (controller = it) });
    const stream = { url, headers, controller, closed: false };
    signal.addEventListener("abort", () => (stream.closed = true));
    streams.push(stream);
    return { status, body };
  });
  const service = new Service({ url: "https://service.example/media" });
  feed = new Feed(service, "upload/a/progress", {
    onFrame: (frame) => frames.push(frame.data),
    onLink: (state) => links.push(state),
    onRefused: (status) => refused.push(status),
    read: (options) => (reads.push(options), readResult(options)),
  });
});

afterEach(() => {
  feed.stop();
  mock.reset();
  mock.timers.reset();
});

/** Let everything that is ready run. */
async function settle() {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
}

async function start() {
  feed.start();
  await settle();
}

async function say(text, stream = streams.at(-1)) {
  stream.controller.enqueue(new TextEncoder().encode(text));
  await settle();
}

async function pass(ms) {
  mock.timers.tick(ms);
  await settle();
}

const CONNECTED = 'data: {"type":"connected"}\n\n';
const HEARTBEAT = "event: heartbeat\ndata: {}\n\n";

test("it asks for named heartbeats, and the first frame makes it live", async () => {
  await start();
  assert.equal(streams[0].url, "https://service.example/media/upload/a/progress?heartbeat=event");
  assert.equal(feed.state, "connecting");
  await say(CONNECTED);
  assert.equal(feed.state, "live");
});

test("heartbeats keep a stream alive and are no events; silence ends it", async () => {
  await start();
  await say(CONNECTED);
  for (let i = 0; i < 10; i += 1) {
    await pass(SILENCE_MS - 1);
    await say(HEARTBEAT);
  }
  assert.equal(streams.length, 1);
  assert.deepEqual(frames, ['{"type":"connected"}']);
  await pass(SILENCE_MS);
  assert.equal(streams.length, 2);
  assert.ok(streams[0].closed);
  assert.equal(feed.state, "reconnecting");
});

test("a reconnect presents the last id that it saw", async () => {
  await start();
  await say(`${CONNECTED}id: e-1\ndata: 1\n\nid: e-2\ndata: 2\n\nid: e-3\ndata: cut`);
  streams[0].controller.close();
  await settle();
  await pass(3000);
  assert.equal(streams[1].headers["Last-Event-ID"], "e-2");
});

test("attempts against a dead service come at 3, 6, 12, 24 and then every 30 s", async () => {
  answers = Array(20).fill(0);
  await start();
  const { mock: calls } = globalThis.fetch;
  for (const wait of [3000, 6000, 12_000, 24_000, 30_000, 30_000]) {
    const before = calls.callCount();
    await pass(wait - 10);
    assert.equal(calls.callCount(), before, `nothing before ${wait}`);
    await pass(20);
    assert.equal(calls.callCount(), before + 1, `one after ${wait}`);
  }
});

test("waking replaces a stream that missed a heartbeat and leaves one that did not", async () => {
  await start();
  await say(CONNECTED);
  await pass(10_000);
  feed.wake();
  await settle();
  assert.equal(streams.length, 1);
  await pass(10_000);
  feed.wake();
  await settle();
  assert.equal(streams.length, 2);
  assert.equal(reads.length, 1, "and the state is read at once");
  await say(CONNECTED);
  feed.wake({ changed: true });
  await settle();
  assert.equal(streams.length, 3, "a new network replaces any stream");
});

test("a 401 ends the attempts until there is a new token", async () => {
  answers = [401];
  await start();
  assert.equal(feed.state, "denied");
  await pass(120_000);
  assert.equal(streams.length, 1);
  feed.wake({ changed: true });
  await settle();
  assert.equal(streams.length, 2);
});

test("a 204 and a 403 are told to the owner, who knows what they mean", async () => {
  answers = [204, 403];
  await start();
  await pass(3000);
  assert.deepEqual(refused, [204, 403]);
});

test("a stream that never speaks while JSON is quick is blocked: polling", async () => {
  readResult = async () => "ok";
  await start();
  await pass(OPENING_MS);
  assert.equal(feed.state, "polling");
  const before = reads.length;
  await pass(2000);
  await pass(2000);
  assert.equal(reads.length, before + 2);
});

test("a stream that never speaks while JSON is slow is a service that starts: streams go on", async () => {
  let release;
  readResult = () => new Promise((resolve) => (release = () => resolve("ok")));
  await start();
  await pass(OPENING_MS);
  await pass(2500);
  release();
  await settle();
  assert.equal(feed.state, "reconnecting");
  assert.equal(streams.length, 2, "tried again at once");
  await say(CONNECTED);
  assert.equal(feed.state, "live");
});

test("one failure while JSON passes is tried again at once; a second one means polling", async () => {
  readResult = async () => "ok";
  answers = [503, 503];
  await start();
  await settle();
  assert.equal(streams.length, 2);
  assert.equal(feed.state, "polling");
});

test("failures that lie apart are outages: a stream in between clears the suspicion", async () => {
  readResult = async () => "ok";
  answers = [503];
  await start();
  await settle();
  await say(CONNECTED);
  answers = [503];
  streams.at(-1).controller.close();
  await settle();
  await pass(3000);
  await settle();
  assert.equal(feed.state, "reconnecting");
  await say(CONNECTED);
  assert.equal(feed.state, "live");
});

test("while polling, waiting requests follow each other, and short ones where those break", async () => {
  const results = ["ok", "changed", "changed", "away", "changed"];
  readResult = async () => results.shift() ?? "ok";
  await start();
  await pass(OPENING_MS); // the first read says: polling
  assert.deepEqual(
    reads.map(({ wait }) => wait),
    [false, true],
  );
  await pass(300);
  await pass(300);
  assert.deepEqual(
    reads.map(({ wait }) => wait),
    [false, true, true, true],
  );
  await pass(2000);
  assert.equal(reads.at(-1).wait, false);
});

test("a stream that speaks again ends the polling", async () => {
  readResult = async () => "ok";
  await start();
  await pass(OPENING_MS);
  assert.equal(feed.state, "polling");
  for (let i = 0; i < 10; i += 1) await pass(3000);
  await say(CONNECTED);
  assert.equal(feed.state, "live");
  const before = reads.length;
  await pass(10_000);
  assert.equal(reads.length, before);
});

test("stopping closes the stream and leaves no timer behind", async () => {
  await start();
  await say(CONNECTED);
  feed.stop();
  await pass(300_000);
  assert.ok(streams[0].closed);
  assert.equal(streams.length, 1);
  assert.equal(feed.state, "idle");
});
