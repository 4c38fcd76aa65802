/** One upload's state machine: every input, and what may follow what. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { STAGES } from "../../sse_progress/browser/client/state/stages.js";
import { PHASES, hasEnded, phaseOfError } from "../../sse_progress/browser/client/state/phases.js";
import { initial, next } from "../../sse_progress/browser/client/state/state.js";

const ID = "upload_1";
const media = { id: ID, filename: "a.jpg" };

function run(...inputs) {
  return inputs.reduce(next, initial({ id: ID, filename: "a.jpg", size: 1000 }));
}

function event(stage, fields = {}) {
  return {
    kind: "event",
    event: { type: "progress", uploadId: ID, stage, progress: 0, stageProgress: 0, ...fields },
  };
}

const send = { kind: "send" };
const cut = { kind: "cut" };
const bytes = (loaded, total = 1000) => ({ kind: "bytes", loaded, total });
const answer = (status, body = null) => ({ kind: "answer", status, body });

test("an upload waits, is sent, and its bar moves with the browser's own count", () => {
  assert.equal(run().phase, "waiting");
  const state = run(send, bytes(500));
  assert.equal(state.phase, "sending");
  assert.equal(state.stage, "receiving");
  assert.equal(state.progress, 5);
  assert.equal(state.bytes, 500);
  assert.equal(run(send, bytes(1000)).progress, 9);
});

test("the service's count corrects ours, and from then on the bar does not step back", () => {
  const state = run(
    send,
    bytes(800),
    event("receiving", { progress: 3, stageProgress: 30, bytes: 300 }),
    bytes(900),
  );
  assert.equal(state.fromServer, true);
  assert.equal(state.progress, 3);
  assert.equal(state.stageProgress, 30, "what has arrived, not what the network holds");
  assert.equal(state.bytes, 300);
  const later = next(state, event("receiving", { progress: 2, stageProgress: 20, bytes: 200 }));
  assert.equal(later.stageProgress, 30);
});

test("every stage passes in order and complete carries the media", () => {
  const stages = STAGES.filter((stage) => !stage.terminal);
  const inputs = stages.map(({ name, hi }) => event(name, { progress: hi, stageProgress: 100 }));
  const state = run(send, ...inputs, event("complete", { progress: 100, media }));
  assert.equal(state.phase, "done");
  assert.equal(state.progress, 100);
  assert.equal(state.media, media);
  assert.deepEqual(
    state.passed.map((row) => row.stage),
    [...stages.map((row) => row.name), "complete"],
  );
});

test("progress never goes down by an event, but a reset sets the whole state", () => {
  const ahead = [send, event("analyzing", { progress: 60, message: "x" })];
  assert.equal(run(...ahead, event("analyzing", { progress: 50 })).progress, 60);
  assert.equal(run(...ahead, event("analyzing", { type: "reset", progress: 50 })).progress, 50);
});

test("a state read as JSON that is older than the stream's is ignored", () => {
  const state = run(send, event("analyzing", { progress: 60, timestamp: "2026-01-01T00:00:02.000Z" }));
  const old = {
    status: "processing",
    stage: "validating",
    progress: 20,
    timestamp: "2026-01-01T00:00:01.000Z",
  };
  assert.equal(next(state, { kind: "snapshot", state: old }), state);
  const young = { ...old, stage: "moderating", progress: 70, timestamp: "2026-01-01T00:00:03.000Z" };
  assert.equal(next(state, { kind: "snapshot", state: young }).stage, "moderating");
});

test("of two events within a millisecond, a state read as JSON that tells the first is ignored", () => {
  const timestamp = "2026-01-01T00:00:02.000Z";
  const begun = run(send, event("validating", { progress: 20, stageProgress: 50, timestamp }));
  const half = { status: "processing", stage: "validating", progress: 15, stageProgress: 40, timestamp };
  assert.equal(next(begun, { kind: "snapshot", state: half }), begun);

  const on = next(begun, event("analyzing", { progress: 30, stageProgress: 0, timestamp }));
  const before = { status: "processing", stage: "validating", progress: 30, stageProgress: 100, timestamp };
  assert.equal(next(on, { kind: "snapshot", state: before }), on);
  const after = { status: "processing", stage: "moderating", progress: 60, stageProgress: 0, timestamp };
  assert.equal(next(on, { kind: "snapshot", state: after }).stage, "moderating");
  const ended = { status: "complete", stage: "complete", progress: 100, stageProgress: 100, timestamp };
  assert.equal(next(on, { kind: "snapshot", state: ended }).phase, "done");
  const failed = { status: "error", stage: "error", progress: 30, error: { code: "too_large", detail: "" } };
  assert.equal(next(on, { kind: "snapshot", state: { ...failed, timestamp } }).stage, "error");
});

test("an ended upload never moves again, whatever comes", () => {
  const ends = [
    [event("complete", { media })],
    [event("error", { error: { code: "malware", detail: "", stage: "moderating" } })],
    [event("error", { error: { code: "internal", detail: "", stage: "moderating" } })],
    [{ kind: "cancelled" }],
  ];
  const later = [
    send,
    bytes(1),
    cut,
    answer(500),
    answer(200, { data: { media } }),
    event("analyzing", { progress: 99 }),
    event("analyzing", { type: "reset", progress: 1 }),
    { kind: "unknown" },
    { kind: "cancelled" },
    { kind: "requeue" },
    { kind: "cancelling", on: true },
    { kind: "snapshot", state: { status: "processing", stage: "analyzing" } },
    { kind: "failed", error: { code: "internal" } },
  ];
  for (const inputs of ends) {
    const ended = run(send, ...inputs);
    assert.ok(hasEnded(ended));
    for (const input of later) assert.equal(next(ended, input), ended, JSON.stringify(input));
  }
});

test("an input that changes nothing returns the very same object", () => {
  const seen = event("analyzing", { progress: 40, message: "m", timestamp: "2026-01-01T00:00:02.000Z" });
  const state = run(send, seen);
  assert.equal(next(state, seen), state);
  assert.equal(
    next(state, { kind: "event", event: { type: "connected", uploadId: ID, message: "hi" } }),
    state,
  );
  assert.equal(next(state, { kind: "event", event: { type: "something_new", uploadId: ID } }), state);
});

test("fields and stages that are not known yet do no harm", () => {
  const state = run(
    send,
    event("transcoding", { progress: 45, novelty: { deep: 1 }, stageProgress: "many" }),
  );
  assert.equal(state.phase, "working");
  assert.equal(state.stage, "transcoding");
  assert.equal(state.progress, 45);
  assert.equal("novelty" in state, false);
});

test("a refused file is told from a failed upload by its code", () => {
  for (const code of ["rejected_type", "empty_file", "malware", "too_large", "a_code_of_some_stage"]) {
    assert.equal(phaseOfError(code), "refused", code);
  }
  for (const code of [
    "internal",
    "unavailable",
    "server_lost",
    "client_disconnected",
    "network",
    "receive_timeout",
  ]) {
    assert.equal(phaseOfError(code), "failed", code);
  }
  const state = run(
    send,
    event("analyzing", { progress: 40 }),
    event("error", { error: { code: "corrupt_file", detail: "No.", stage: "analyzing" } }),
  );
  assert.equal(state.phase, "refused");
  assert.equal(state.progress, 40, "the bar stays where the upload ended");
  assert.deepEqual(state.error, { code: "corrupt_file", detail: "No.", stage: "analyzing" });
});

test("a request that breaks is not a failure until the service says so", () => {
  const broken = run(send, bytes(500), cut);
  assert.equal(broken.phase, "checking");
  assert.equal(
    next(broken, event("analyzing", { progress: 30 })).phase,
    "working",
    "it had arrived after all",
  );
  const waiting = next(broken, event("receiving", { progress: 6, message: "Still waiting" }));
  assert.equal(waiting.phase, "checking");
  assert.equal(waiting.message, "Still waiting");
  assert.equal(next(broken, { kind: "unknown" }).error.code, "network");
  assert.equal(next(broken, { kind: "snapshot", state: { status: "pending" } }).error.code, "network");
  const lost = event("error", { error: { code: "client_disconnected", detail: "", stage: "receiving" } });
  assert.equal(next(broken, lost).phase, "failed");
});

test("a proxy's 502 or 504 says nothing about the upload, a problem document says all", () => {
  assert.equal(run(send, answer(504)).phase, "checking");
  assert.equal(run(send, answer(413)).error.code, "too_large");
  assert.equal(run(send, answer(401)).error.code, "unauthenticated");
  const problem = { code: "insufficient_storage", detail: "There is no room left." };
  const state = run(send, answer(507, problem));
  assert.equal(state.phase, "failed");
  assert.equal(state.message, "There is no room left.");
  assert.equal(run(send, answer(409, { code: "cancelled" })).phase, "cancelled");
});

test("a 202 means that the file is safe, a 200 that everything is done", () => {
  const stored = run(send, bytes(1000), answer(202, { success: true, status: "processing" }));
  assert.equal(stored.phase, "working");
  assert.equal(stored.stage, "file_received");
  assert.equal(stored.progress, 10);
  const ahead = run(send, event("validating", { progress: 25 }), answer(202, {}));
  assert.equal(ahead.stage, "validating");
  assert.equal(run(send, answer(200, { success: true, data: { media } })).media, media);
});

test("a place in the queue is known while the upload waits, and no longer", () => {
  const place = { kind: "place", queuePosition: 3, startsInSeconds: 130 };
  const early = run(send, event("receiving", { stageProgress: 50 }));
  assert.equal(next(early, place), early);
  const stored = run(send, event("file_received", { progress: 10, stageProgress: 100 }), place);
  assert.deepEqual([stored.queuePosition, stored.startsInSeconds], [3, 130]);
  const again = next(stored, { kind: "event", event: { type: "reset", stage: "file_received" } });
  assert.equal(again.queuePosition, 3, "a reconnect begins with the state");
  for (const input of [event("validating"), event("cancelled"), { kind: "failed", error: { code: "x" } }]) {
    const after = next(stored, input);
    assert.deepEqual([after.queuePosition, after.startsInSeconds], [null, null], input.kind);
    assert.equal(next(after, place), after);
  }
});

test("a service that forgot an upload it was working on ends it", () => {
  assert.equal(run({ kind: "unknown" }).phase, "waiting", "it may not have begun");
  assert.equal(run(send, { kind: "unknown" }).phase, "sending", "it may be on its way");
  assert.equal(run(send, event("analyzing"), { kind: "unknown" }).error.code, "unknown_upload");
  const gone = { kind: "event", event: { type: "reset", uploadId: ID, error: { code: "unknown_upload" } } };
  assert.equal(run(send, event("analyzing"), gone).phase, "failed");
});

test("being asked to come back later puts an upload back into the queue", () => {
  const state = run(send, bytes(900), { kind: "requeue" });
  assert.equal(state.phase, "waiting");
  assert.equal(state.progress, 0);
  assert.equal(next(state, send).phase, "sending");
});

test("no transition leaves the table of phases", () => {
  for (const followers of Object.values(PHASES)) for (const phase of followers) assert.ok(phase in PHASES);
  const working = run(send, event("analyzing", { progress: 40 }));
  assert.equal(next(working, send), working);
  const stored = run(send, answer(202));
  assert.equal(next(stored, { kind: "requeue" }), stored, "what is stored is not sent again");
  assert.equal(next(working, cut), working, "a POST that breaks after the file is stored means nothing");
});

test("states are frozen: nobody changes them behind the machine's back", () => {
  const state = run(send, event("analyzing", { progress: 40 }));
  assert.ok(Object.isFrozen(state) && Object.isFrozen(state.passed) && state.passed.every(Object.isFrozen));
});

test("an upload that is known only by its end has the name and the stage that it ended in", () => {
  for (const stage of ["cancelled", "error"]) {
    const event = {
      type: "reset",
      uploadId: "u",
      progress: 0,
      stage,
      stageProgress: 0,
      filename: "photo.jpg",
      error: { code: stage === "error" ? "corrupt_file" : "cancelled", detail: "d", stage: "analyzing" },
    };
    const state = next(initial({ id: "u" }), { kind: "event", event });
    assert.equal(state.phase, stage === "error" ? "refused" : "cancelled");
    assert.equal(state.endedIn, "analyzing");
    assert.equal(
      next(initial({ id: "u" }), { kind: "event", event: { ...event, stage: "analyzing", error: undefined } })
        .filename,
      "photo.jpg",
    );
  }
});

test("who sends here says whether it is paused; the service's word is that of bytes still on their way", () => {
  const pause = (on) => ({ kind: "paused", on });
  const late = event("receiving", { bytes: 2000, total: 9000 });
  const told = event("receiving", { bytes: 2000, total: 9000, paused: true });
  assert.equal(run(send, late, pause(true), late).paused, true);
  assert.equal(run(send, late, pause(true), told, pause(false), told).paused, false);
  assert.equal(run(send, late, told).paused, false, "the network cut it, and it goes on by itself");
  assert.equal(run(send, late, cut, told).paused, true, "somebody else sends it now");
  assert.equal(run(told).paused, true);
  assert.equal(run(told, late).paused, false);
});
