/** The connection's state machine and its back-off. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { IDLE, delayMs, isStale, step } from "../../sse_progress/browser/client/follow/link.js";

function run(...inputs) {
  let link = IDLE;
  const effects = [];
  for (const input of inputs) {
    const result = step(link, input);
    link = result.link;
    effects.push(result.effects);
  }
  return { link, effects, last: effects.at(-1) };
}

test("a wanted stream connects, and its first frame makes it live", () => {
  const { link, effects } = run("want", "frame");
  assert.equal(link.state, "live");
  assert.deepEqual(effects, [["open"], []]);
});

test("a lost stream is reconnected after a back-off, and a frame ends the counting", () => {
  assert.deepEqual(run("want", "frame", "lost").last, ["close", "backoff"]);
  assert.equal(run("want", "frame", "lost", "due", "lost").link.failures, 2);
  assert.equal(run("want", "frame", "lost", "due", "frame").link.failures, 0);
});

test("the wait is 3 s doubling to 30 s, half of it left to chance", () => {
  const inputs = ["want"];
  const waits = [];
  for (let i = 0; i < 6; i += 1) {
    inputs.push("lost");
    const { link } = run(...inputs);
    waits.push([delayMs(link, 0), delayMs(link, 0.9999999)]);
    inputs.push("due");
  }
  assert.deepEqual(waits, [
    [1500, 3000],
    [3000, 6000],
    [6000, 12000],
    [12000, 24000],
    [15000, 30000],
    [15000, 30000],
  ]);
});

test("a live stream that falls silent is replaced at once, a new one that never speaks is not", () => {
  assert.deepEqual(run("want", "frame", "silent").last, ["open"]);
  assert.deepEqual(run("want", "silent").last, ["close", "catchup", "backoff"]);
});

test("waking opens at once, reads the state, and forgets the failures", () => {
  const { link, last } = run("want", "lost", "due", "lost", "wake");
  assert.equal(link.state, "reconnecting");
  assert.equal(link.failures, 0);
  assert.deepEqual(last, ["open", "catchup"]);
});

test("a service that answers again after an outage is tried at once", () => {
  const { link, last } = run("want", "frame", "lost", "due", "lost", "reachable");
  assert.equal(link.state, "reconnecting");
  assert.deepEqual(last, ["open"]);
});

test("blocked streams lead to polling, and a stream that speaks again ends it", () => {
  const polling = run("want", "silent", "blocked");
  assert.equal(polling.link.state, "polling");
  assert.deepEqual(polling.last, ["poll", "backoff"]);
  assert.equal(delayMs(polling.link, 0), 15_000);
  assert.deepEqual(run("want", "silent", "blocked", "due").last, ["open"]);
  assert.deepEqual(run("want", "silent", "blocked", "due", "frame").last, ["unpoll"]);
  assert.equal(run("want", "silent", "blocked", "due", "lost").link.state, "polling");
  assert.equal(run("want", "silent", "blocked", "unpolled").link.state, "reconnecting");
});

test("refused credentials end the attempts until somebody brings new ones or the page wakes", () => {
  assert.equal(run("want", "denied").link.state, "denied");
  assert.deepEqual(run("want", "denied", "due").last, []);
  assert.deepEqual(run("want", "denied", "wake").last, ["open"]);
});

test("nobody wanting it closes everything from every state, and late inputs change nothing", () => {
  for (const path of [[], ["frame"], ["lost"], ["silent", "blocked"], ["denied"]]) {
    const { link } = run("want", ...path, "unwant", "frame", "lost", "due", "silent", "blocked");
    assert.equal(link.state, "idle", path.join());
  }
  assert.deepEqual(run("want", "silent", "blocked", "unwant").last, ["close", "unpoll"]);
});

test("a stream that missed a heartbeat of 15 s is stale on waking", () => {
  assert.equal(isStale(15_000), false);
  assert.equal(isStale(16_001), true);
});
