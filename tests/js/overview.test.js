import assert from "node:assert/strict";
import { test } from "node:test";

import { headline, overview, shownPercent } from "../../sse_progress/browser/client/panel/overview.js";
import { initial } from "../../sse_progress/browser/client/state/state.js";
import { TEXTS, fill } from "../../sse_progress/browser/client/text/texts.js";

const say = (text, values) => fill(text, values, "en");
const state = (phase, progress = 0, size = null, total = null) => ({
  ...initial({ id: "u", size }),
  phase,
  progress,
  stageProgress: progress,
  total,
});
const shown = (...states) => headline(states, TEXTS, say);

test("what has ended is not averaged into what runs", () => {
  const { title, percent } = shown(
    state("sending", 1, 1000),
    state("done", 100, 1000),
    state("cancelled", 40, 1000),
  );
  assert.equal(percent, 1);
  assert.equal(title, "Uploading 1 file");
});

test("a percent is weighted by bytes, and sizes that are not known weigh the mean", () => {
  assert.equal(overview([state("working", 10, 900), state("working", 90, 100)]).percent, 18);
  assert.equal(overview([state("working", 10, null, 900), state("working", 90, 100)]).percent, 18);
  assert.equal(overview([state("working", 10), state("working", 90, 100)]).percent, 50);
  assert.equal(overview([state("working", 10), state("working", 90)]).percent, 50);
});

test("while bytes travel the percent is that of the transfer, then that of the work", () => {
  const half = { ...state("sending", 4), stage: "receiving", stageProgress: 50 };
  assert.equal(shownPercent(half), 50);
  assert.equal(overview([half, state("working", 90)]).percent, 50);
  assert.equal(overview([half, state("waiting")]).percent, 25);
  assert.equal(shownPercent({ ...state("working", 38), stageProgress: 70 }), 38);
});

test("the words say what happens: sending, processing, cancelled, finished", () => {
  assert.equal(shown(state("working", 75)).title, "Processing 1 file");
  const both = shown(state("sending"), state("working"), state("working"));
  assert.deepEqual([both.title, both.more], ["Uploading 1 file", ["Processing 2 files"]]);
  assert.deepEqual(shown(state("cancelled", 60)), {
    title: "1 upload cancelled",
    more: [],
    phase: "cancelled",
    percent: null,
  });
  const ended = shown(state("done", 100), state("cancelled"), state("refused"), state("failed"));
  assert.equal(ended.title, "1 upload finished");
  assert.deepEqual(ended.more, ["1 upload cancelled", "2 uploads with a problem"]);
  assert.equal(ended.phase, "failed");
  assert.equal(shown(state("refused")).title, "1 upload with a problem");
});

test("of any uploads: nothing is called finished that is not, and the percent is between those that run", () => {
  const phases = ["waiting", "sending", "checking", "working", "done", "refused", "failed", "cancelled"];
  let seed = 7;
  const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
  for (let round = 0; round < 2000; round += 1) {
    const states = Array.from({ length: 1 + random(6) }, () =>
      state(phases[random(phases.length)], random(101), random(3) ? random(5000) : null),
    );
    const active = states.filter((one) => phases.indexOf(one.phase) < 4);
    const travelling = active.filter((one) => one.phase !== "working");
    const running = (travelling.length ? travelling : active).map(({ progress }) => progress);
    const { title, more, percent, phase } = headline(states, TEXTS, say);
    const said = [title, ...more].join(" ");
    const done = states.filter((one) => one.phase === "done").length;
    assert.equal(/finished/.test(said), running.length === 0 && done > 0);
    assert.equal(percent === null, running.length === 0);
    if (running.length) {
      assert.ok(
        percent >= Math.min(...running) && percent <= Math.max(...running),
        `${percent} of ${running}`,
      );
      assert.equal(phase, "working");
    } else {
      assert.equal(
        phase === "done",
        done > 0 && states.every((one) => ["done", "cancelled"].includes(one.phase)),
      );
    }
    assert.ok(title);
  }
});
