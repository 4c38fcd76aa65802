/**
 * The stages that an upload has passed, and when each began: only what its journal says.
 *
 * A stream's event that opens a stage is that stage's first event, since events come without a gap.
 * A state (a `reset`, or one read as JSON) tells the present stage, but neither when it began nor what
 * came before it: such a stage has no time until the journal itself has been read (`history.js`).
 */

/**
 * @import { PassedStage, ProgressEvent, StageName, UploadState } from "../index.js"
 *
 * @typedef {Pick<UploadState, "passed" | "heard" | "gaps">} Passage
 */

const BAD_ENDS = new Set(["error", "cancelled"]);

/** @type {Passage} */
export const NOTHING = Object.freeze({ passed: Object.freeze([]), heard: null, gaps: false });

/**
 * What has passed after the service has said `event`.
 * @param {Passage} passage
 * @param {Partial<ProgressEvent>} event
 * @returns {Passage}
 */
export function pass({ passed, heard, gaps }, event) {
  const { type, stage, message = "" } = event;
  const timestamp = event.timestamp ?? null;
  if (!stage) return { passed, heard, gaps };
  const fresh = stage !== heard;
  const told = { heard: stage, gaps: gaps || (fresh && type !== "progress") };
  if (BAD_ENDS.has(stage)) return { ...told, passed };
  const begun = fresh && type === "progress" ? timestamp : null;
  const row = passed.find((known) => known.stage === stage);
  if (!row) return { ...told, passed: append(passed, { stage, from: begun, to: timestamp, message }) };
  const next = Object.freeze({
    stage,
    from: row.from ?? begun,
    to: timestamp ?? row.to,
    message: message || row.message,
  });
  return { ...told, passed: Object.freeze(passed.map((known) => (known === row ? next : known))) };
}

/**
 * `passed` with a stage that the service has not told of yet, and that must have begun.
 * @param {readonly PassedStage[]} passed
 * @param {StageName} stage
 */
export function assume(passed, stage) {
  const known = passed.some((row) => row.stage === stage);
  return known ? passed : append(passed, { stage, from: null, to: null, message: "" });
}

/**
 * What is known, with the part of the journal that has been read put in its place. Stages that began
 * after that part were heard of since.
 * @param {Passage} known
 * @param {Passage} told
 * @returns {Passage}
 */
export function complete(known, told) {
  const names = new Set(told.passed.map(({ stage }) => stage));
  const since = known.passed.filter(({ stage }) => !names.has(stage));
  return {
    passed: Object.freeze([...told.passed, ...since]),
    heard: known.heard,
    gaps: since.some(({ from }) => from === null),
  };
}

/**
 * Milliseconds from a stage's first event to the next stage's; null where either is not known.
 * @param {readonly PassedStage[]} passed
 * @param {StageName} stage
 */
export function durationMs(passed, stage) {
  const at = passed.findIndex((row) => row.stage === stage);
  const from = Date.parse(passed[at]?.from ?? "");
  const to = Date.parse(passed[at + 1]?.from ?? "");
  return at >= 0 && to >= from ? to - from : null;
}

/**
 * @param {readonly PassedStage[]} passed
 * @param {PassedStage} row
 */
function append(passed, row) {
  return Object.freeze([...passed, Object.freeze(row)]);
}
