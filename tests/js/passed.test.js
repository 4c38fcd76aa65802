/** What is shown of any upload, however it was watched, against its journal. */

import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { tell } from "../../sse_progress/browser/client/state/history.js";
import { shownPercent } from "../../sse_progress/browser/client/panel/overview.js";
import { stagesOf } from "../../sse_progress/browser/client/state/kinds.js";
import { durationMs } from "../../sse_progress/browser/client/state/passed.js";
import { STAGES, percent } from "../../sse_progress/browser/client/state/stages.js";
import { initial, next } from "../../sse_progress/browser/client/state/state.js";

const ID = "upload_1";
const NAME = "photo.jpg";
const WORK = STAGES.filter((stage) => !stage.terminal).map((stage) => stage.name);
/** Kinds by name: no kind, one with names of its own, one with the usual names in another order. */
const KINDS = {
  upload: WORK,
  film: ["receiving", "file_received", "rating", "transcoding", "subtitling", "finalizing"],
  scan: ["receiving", "file_received", "moderating", "analyzing", "validating", "thumbnails"],
};
const START_MS = Date.parse("2026-01-15T10:30:00.000Z");

/** A stage and the milliseconds before its events; of one that no table tells, no two are the same. */
function stageOf(stage, kind) {
  const steps = fc.array(fc.integer({ min: kind === "upload" ? 0 : 1, max: 5_000 }), { maxLength: 4 });
  return fc.record({ stage: fc.constant(stage), steps });
}

/** A journal: any of the stages in order with any number of events, and any end or none yet. */
const journals = fc
  .record({
    passing: fc.constantFrom(...Object.keys(KINDS)).chain((kind) =>
      fc.record({
        kind: fc.constant(kind),
        stages: fc
          .subarray(KINDS[kind], { minLength: 1 })
          .chain((names) => fc.tuple(...names.map((stage) => stageOf(stage, kind)))),
      }),
    ),
    end: fc.constantFrom(null, "complete", "error", "cancelled"),
  })
  .map(({ passing: { kind, stages }, end }) => {
    const about = kind === "upload" ? {} : { kind };
    const events = [];
    let ms = START_MS;
    const say = (stage, stageProgress, more = {}) =>
      events.push({
        type: "progress",
        uploadId: ID,
        filename: NAME,
        ...about,
        stage,
        stageProgress,
        progress: more.progress ?? percentOf(kind, stage, stageProgress),
        message: `${stage} ${stageProgress}`,
        timestamp: new Date(ms).toISOString(),
        ...more,
      });
    for (const { stage, steps } of stages) {
      const list = stage === "file_received" ? [100] : [0, ...steps.map((_, at) => (at + 1) * 20)];
      list.forEach((value, at) => {
        ms += steps[at] ?? 7;
        say(stage, value);
      });
    }
    ms += 11;
    const error = {
      code: end === "error" ? "malware" : "cancelled",
      detail: "d",
      stage: stages.at(-1).stage,
    };
    if (end === "complete") say("complete", 100, { progress: 100, media: { id: ID, filename: NAME } });
    else if (end) say(end, 0, { progress: 0, error });
    return events;
  });

function percentOf(kind, stage, stageProgress) {
  if (kind === "upload") return percent(stage, stageProgress);
  return KINDS[kind].indexOf(stage) * 10 + Math.floor(stageProgress / 10);
}

/** How it is watched: so many events live, so many missed, and what then tells the present state. */
const views = fc.array(
  fc.record({
    missed: fc.nat(6),
    live: fc.nat(6),
    told: fc.constantFrom("reset", "snapshot", "replay", "position"),
  }),
  { minLength: 1, maxLength: 6 },
);

/** What a page knows that has watched `journal` so, and how many events it has been told of. */
function watch(journal, plan) {
  let state = initial({ id: ID });
  let at = 0;
  for (const { missed, live, told } of plan) {
    const begun = at;
    at = Math.min(journal.length, at + missed);
    const event = journal[at - 1];
    if (event && told === "reset") state = next(state, { kind: "event", event: { ...event, type: "reset" } });
    if (event && told === "snapshot") {
      state = next(state, { kind: "snapshot", state: { ...event, status: "processing" } });
    }
    const replayed =
      told === "replay" ? journal.slice(0, at) : told === "position" ? journal.slice(begun, at) : [];
    for (const one of [...replayed, ...journal.slice(at, at + live)]) {
      state = next(state, { kind: "event", event: one });
    }
    at = Math.min(journal.length, at + live);
  }
  return { state, at };
}

/** The truth: milliseconds from each stage's first event to that of the next stage. */
function durations(journal) {
  const firsts = journal.filter((event, at) => event.stage !== journal[at - 1]?.stage);
  const took = firsts.slice(1).map((after, at) => {
    return [firsts[at].stage, Date.parse(after.timestamp) - Date.parse(firsts[at].timestamp)];
  });
  return new Map(took.filter((_, at) => !["error", "cancelled"].includes(firsts[at + 1].stage)));
}

function agrees(state, journal) {
  const truth = durations(journal);
  for (const { stage } of state.passed) {
    const shown = durationMs(state.passed, stage);
    if (shown !== null) assert.equal(shown, truth.get(stage), stage);
    if (!state.gaps) assert.equal(shown, truth.get(stage) ?? null, `${stage} is known`);
  }
  const last = journal.at(-1);
  if (!last) return;
  drawn(state, last);
  assert.equal(state.filename, NAME);
  assert.equal(state.heard, last.stage);
  if (last.error) {
    assert.equal(state.phase, last.stage === "error" ? "refused" : "cancelled");
    assert.equal(state.endedIn, last.error.stage);
  } else if (last.stage === "complete") assert.equal(state.phase, "done");
  else {
    assert.deepEqual([state.stage, state.progress], [last.stage, last.progress]);
    assert.equal(shownPercent(state), last.stage === "receiving" ? last.stageProgress : last.progress);
  }
}

/** The stages that are drawn: those of its kind where the service tells them, or what it has passed. */
function drawn(state, last) {
  const kind = last.kind ?? "upload";
  assert.equal(state.kind, last.kind ?? null);
  const table = KINDS[kind].map((name) => ({ name, title: `Title of ${name}` }));
  const names = (rows) => rows.map(({ name }) => name);
  assert.deepEqual(names(stagesOf(state, table)), KINDS[kind]);
  const now = last.error?.stage ?? last.stage;
  const seen = new Set([...state.passed.map(({ stage }) => stage), now]);
  seen.delete("complete");
  for (const other of [null, table.slice(0, 1).filter(({ name }) => name !== now)]) {
    const whole = other && [...seen].every((name) => names(other).includes(name));
    if (!whole) assert.deepEqual(new Set(names(stagesOf(state, other))), seen);
  }
}

test("however an upload is watched, no time, stage, end or percent is shown that is not its journal's", () => {
  fc.assert(
    fc.property(journals, views, (journal, plan) => {
      const { state, at } = watch(journal, plan);
      agrees(state, journal.slice(0, at));
    }),
    { numRuns: 3_000 },
  );
});

test("once the journal has been read, also before more is heard, every time is known", () => {
  fc.assert(
    fc.property(journals, views, fc.nat(20), (journal, plan, ahead) => {
      const { state, at } = watch(journal, plan);
      const read = tell(null, journal.slice(0, at + ahead));
      if (!read) return;
      let whole = next(state, { kind: "history", told: read });
      assert.equal(whole.gaps, false);
      for (const event of journal.slice(at)) whole = next(whole, { kind: "event", event });
      agrees(whole, journal);
      for (const [stage, ms] of durations(journal)) assert.equal(durationMs(whole.passed, stage), ms);
      const last = journal.filter((event) => !event.error).at(-1);
      if (whole.phase === "cancelled") assert.equal(whole.stageProgress, last.stageProgress);
    }),
    { numRuns: 3_000 },
  );
});

test("a replay within one millisecond is known by the order in which stages began", () => {
  const event = (stage) => ({ type: "progress", kind: "film", stage, timestamp: new Date(0).toISOString() });
  const events = ["rating", "transcoding", "rating"].map((stage) => ({ kind: "event", event: event(stage) }));
  assert.equal(events.reduce(next, initial({ id: ID })).stage, "transcoding");
});

test("an end that was told by an answer is completed from the journal", () => {
  const say = (stage, ms, more = {}) => ({
    type: "progress",
    stage,
    stageProgress: 0,
    timestamp: new Date(START_MS + ms).toISOString(),
    ...more,
  });
  const journal = [
    say("receiving", 0),
    say("file_received", 40),
    say("validating", 50),
    say("analyzing", 90, { stageProgress: 60 }),
    say("cancelled", 200, { error: { code: "cancelled", stage: "analyzing" } }),
  ];
  const seen = journal.slice(0, 3).map((event) => ({ kind: "event", event }));
  const known = [{ kind: "send" }, ...seen, { kind: "cancelled" }].reduce(next, initial({ id: ID }));
  assert.equal(known.endedIn, "validating");
  assert.equal(known.gaps, true);
  const whole = next(known, { kind: "history", told: tell(null, journal) });
  assert.deepEqual([whole.endedIn, whole.stageProgress, whole.gaps], ["analyzing", 60, false]);
  assert.equal(durationMs(whole.passed, "validating"), 40);
});
