/**
 * A feed with real streams (read by fetch from a service of the test's own) and a clock of the test's own.
 * Sockets are a recording stand-in: the real ones are tried against the real service.
 */

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Feed } from "../../sse_progress/browser/client/follow/feed.js";
import { OPENING_MS, SILENCE_MS } from "../../sse_progress/browser/client/follow/link.js";
import { Service } from "../../sse_progress/browser/client/service/service.js";

/** Every stream that was asked for: its request headers, and a way to feed and end it. */
let streams;
let answers;
let reads;
let readResult;
let feed;
let links;
let frames;
let refused;
let sockets;

/** A WebSocket that does nothing by itself. */
class Recorder {
  static OPEN = 1;
  readyState = 1;
  said = [];
  constructor(url) {
    this.url = url;
    sockets.push(this);
  }
  send(text) {
    this.said.push(JSON.parse(text));
  }
  close() {
    this.readyState = 3;
  }
  async hear(...messages) {
    for (const message of messages) this.onmessage({ data: JSON.stringify(message) });
    await settle();
  }
}

beforeEach(() => {
  [streams, answers, reads, links, frames, refused, sockets] = [[], [], [], [], [], [], []];
  readResult = async () => "away";
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
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
  feed = feedOf({ transport: "auto" });
});

function feedOf(options, path = "upload/a/progress") {
  const service = new Service({ url: "https://service.example/media", ...options });
  return new Feed(service, path, {
    onFrame: (frame) => frames.push(frame.data),
    onLink: (state) => links.push(state),
    onRefused: (status) => refused.push(status),
    read: (options) => (reads.push(options), readResult(options)),
  });
}

afterEach(() => {
  feed.stop();
  delete globalThis.WebSocket;
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
  const places = '{"waiting":[{"uploadId":"a","queuePosition":3}]}';
  await say(`event: heartbeat\ndata: ${places}\n\n`);
  assert.deepEqual(frames.slice(1), [places], "one that tells places is passed on");
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

// ---- where there are WebSockets

const CONNECTION = { type: "connected", message: "" };
const SUBSCRIPTION = { type: "subscribed", uploadId: "a" };

/** A runtime that has them, and a feed in it. */
async function startWith(options, path) {
  globalThis.WebSocket = Recorder;
  feed = feedOf(options, path);
  await start();
}

test("a stream that is held back gives way to a socket, and requests stop when that speaks", async () => {
  readResult = async () => "ok";
  await startWith({});
  await pass(OPENING_MS);
  assert.equal(feed.state, "polling");
  assert.equal(sockets[0].url, "wss://service.example/media/ws");
  await sockets[0].hear(CONNECTION, SUBSCRIPTION);
  assert.equal(feed.state, "live");
  assert.deepEqual(sockets[0].said, [{ type: "subscribe", uploadId: "a" }]);
  const before = reads.length;
  await pass(10_000);
  assert.equal(reads.length, before);
  assert.equal(streams.length, 1);
});

test("an event is what the stream would have brought, and its id is where a new socket goes on", async () => {
  await startWith({ transport: "ws" });
  await sockets[0].hear(CONNECTION, SUBSCRIPTION, { id: "e-7", type: "progress", uploadId: "a", id2: 1 });
  assert.deepEqual(frames, ['{"type":"progress","uploadId":"a","id2":1}']);
  sockets[0].onclose();
  await pass(3000);
  await sockets[1].hear(CONNECTION);
  assert.deepEqual(sockets[1].said, [{ type: "subscribe", uploadId: "a", lastEventId: "e-7" }]);
  assert.equal(streams.length, 0);
});

test("it says ping where a stream has heartbeats, and a socket that does not answer is replaced", async () => {
  await startWith({ transport: "ws" });
  await sockets[0].hear(CONNECTION, SUBSCRIPTION);
  await pass(15_000);
  assert.deepEqual(sockets[0].said.at(-1), { type: "ping" });
  await sockets[0].hear({ type: "pong" });
  await pass(SILENCE_MS - 1);
  assert.equal(sockets.length, 1);
  await pass(1);
  assert.equal(sockets.length, 2);
  assert.deepEqual(frames, []);
  const places = { type: "heartbeat", waiting: [{ uploadId: "a", queuePosition: 3 }] };
  await sockets[1].hear(CONNECTION, SUBSCRIPTION, places);
  assert.deepEqual(frames, [JSON.stringify(places)], "one that tells places is passed on");
});

test("where both are held back it polls, and tries one after the other again", async () => {
  readResult = async () => "ok";
  await startWith({});
  await pass(OPENING_MS);
  await pass(OPENING_MS);
  assert.equal(feed.state, "polling");
  assert.deepEqual([streams.length, sockets.length], [1, 1]);
  for (let i = 0; i < 16; i += 1) await pass(2000);
  assert.deepEqual([streams.length, sockets.length], [2, 1], "after a pause");
  for (let i = 0; i < 4; i += 1) await pass(2000);
  assert.deepEqual([streams.length, sockets.length], [2, 2], "at once");
  assert.equal(feed.state, "polling");
});

test("a socket that has passed is what the next feed of this client begins with", async () => {
  readResult = async () => "ok";
  await startWith({});
  await pass(OPENING_MS);
  await sockets[0].hear(CONNECTION, SUBSCRIPTION);
  feed.stop();
  const { service } = feed;
  feed = new Feed(service, "uploads/progress", feed.owner);
  await start();
  await sockets[1].hear(CONNECTION);
  assert.deepEqual(sockets[1].said, [{ type: "subscribe", all: true }]);
  assert.equal(streams.length, 1);
});

test("a token goes in a message, and a newer one before it runs out", async () => {
  const tokenFor = (s) => `h.${btoa(JSON.stringify({ exp: Date.now() / 1000 + s }))}.s`;
  const tokens = [tokenFor(100), tokenFor(1000)];
  await startWith({ transport: "ws", token: () => tokens[Math.min(sockets.length, 1)] });
  assert.doesNotMatch(sockets[0].url, /token/);
  sockets[0].onopen();
  assert.deepEqual(sockets[0].said, [{ type: "auth", token: tokens[0] }]);
  await sockets[0].hear(CONNECTION, SUBSCRIPTION);
  for (let i = 0; i < 7; i += 1) {
    await sockets[0].hear({ type: "pong" });
    await pass(10_000);
  }
  assert.deepEqual(sockets[0].said.at(-1), { type: "auth", token: tokens[1] });
  assert.equal(sockets.length, 1);
});

test("a batch has no socket: it is followed by requests where only sockets are wanted", async () => {
  readResult = async () => "ok";
  await startWith({ transport: "ws" }, "batches/b/progress");
  assert.equal(feed.state, "polling");
  assert.deepEqual([streams.length, sockets.length], [0, 0]);
});

test("`poll` opens neither, also when the page comes back, and asks by requests", async () => {
  readResult = async () => "ok";
  await startWith({ transport: "poll" });
  assert.equal(feed.state, "polling");
  feed.wake({ changed: true });
  await pass(60_000);
  assert.deepEqual([streams.length, sockets.length], [0, 0]);
  assert.ok(reads.length > 2);
});

test("what is said on a socket of an end and a refusal is what streams answer", async () => {
  for (const [reason, statuses] of [
    ["ended", [204]],
    ["forbidden", [403]],
    ["unknown_upload", []],
  ]) {
    [refused, sockets] = [[], []];
    await startWith({ transport: "ws" });
    await sockets[0].hear(CONNECTION, SUBSCRIPTION, { type: "unsubscribed", uploadId: "a", reason });
    assert.deepEqual(refused, statuses, reason);
    feed.stop();
  }
});

test("a runtime without sockets says so when only they are wanted", () => {
  assert.throws(() => feedOf({ transport: "ws" }), { name: "UploadError", code: "unsupported" });
  assert.throws(() => feedOf({ transport: "wss" }), TypeError);
});
