/** What is sent together: counts and bytes from the first file until all have ended. */

import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { Run } from "../../sse_progress/browser/client/panel/run.js";

const file = (id, phase, bytes = null, size = 100) => ({ id, phase, bytes, size, total: null });

test("it counts files that are done and bytes that have gone, and what is left of the time", () => {
  const run = new Run();
  run.note(file("a", "sending", 0), 0);
  assert.equal(run.summary(0), null);
  run.note(file("b", "waiting"), 0);
  run.note(file("a", "sending", 50), 1000);
  assert.deepEqual(run.summary(1000), { done: 0, total: 2, sent: 50, size: 200, leftS: 3 });
  run.note(file("a", "done", 100), 2000);
  run.note(file("b", "working", 40), 2000);
  assert.deepEqual(run.summary(2000), { done: 1, total: 2, sent: 200, size: 200, leftS: null });
});

test("what is sent after all have ended begins anew", () => {
  const run = new Run();
  for (const id of ["a", "b"]) run.note(file(id, "sending", 0), 0);
  for (const id of ["a", "b"]) run.note(file(id, "failed", 0), 100);
  assert.equal(run.summary(100), null);
  for (const id of ["c", "d", "e"]) run.note(file(id, "waiting"), 200);
  assert.deepEqual(run.summary(200), { done: 0, total: 3, sent: 0, size: 300, leftS: null });
});

test("whatever is noted, no count passes its whole", () => {
  const phases = fc.constantFrom("waiting", "sending", "checking", "working", "done", "failed", "cancelled");
  const states = fc.record({
    id: fc.constantFrom("a", "b", "c", "d"),
    phase: phases,
    bytes: fc.option(fc.nat(300)),
    size: fc.option(fc.nat(200)),
    total: fc.option(fc.nat(200)),
  });
  fc.assert(
    fc.property(fc.array(states, { maxLength: 40 }), (noted) => {
      const run = new Run();
      noted.forEach((state, at) => {
        run.note(state, at * 400);
        const said = run.summary(at * 400);
        if (!said) return;
        assert.ok(said.done < said.total && said.sent <= said.size);
        assert.ok(said.leftS === null || said.leftS > 0);
      });
    }),
  );
});
