/** The phases of an upload as its user sees it: which may follow which, and which error leads where. */

/** @import { Phase, UploadState } from "../index.js" */

import { FAILURE_CODES } from "../service/wire.js";

/**
 * Which phase may follow which. An ended upload never moves again.
 * @type {Readonly<Record<Phase, readonly Phase[]>>}
 */
export const PHASES = Object.freeze({
  waiting: ["sending", "working", "done", "refused", "failed", "cancelled"],
  sending: ["waiting", "checking", "working", "done", "refused", "failed", "cancelled"],
  checking: ["waiting", "working", "done", "refused", "failed", "cancelled"],
  working: ["done", "refused", "failed", "cancelled"],
  done: [],
  refused: [],
  failed: [],
  cancelled: [],
});

/** @type {ReadonlySet<string>} */
const FAILURES = new Set([...FAILURE_CODES, "network"]);

/**
 * `refused` if the file was judged and turned away, else `failed`.
 * @param {string} code
 */
export function phaseOfError(code) {
  return FAILURES.has(code) ? "failed" : "refused";
}

/** @param {Pick<UploadState, "phase">} state */
export function hasEnded(state) {
  return PHASES[state.phase].length === 0;
}
