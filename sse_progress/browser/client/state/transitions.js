/**
 * How a state becomes another: fields changed by the phase table, and the ends. What leads to them is
 * state.js's.
 */

/**
 * @import { PassedStage, Phase, ProgressEvent, UploadState } from "../index.js"
 * @typedef {Readonly<{ code: string, detail?: string, stage?: string | null }>} Failure
 */

import { pass } from "./passed.js";
import { PHASES, phaseOfError } from "./phases.js";

/** Of what waits for no worker. */
export const NO_PLACE = Object.freeze({ queuePosition: null, startsInSeconds: null });

/**
 * @param {UploadState} state
 * @param {Failure} error
 * @param {Partial<ProgressEvent>} [event]
 */
export function failed(state, error, event = {}) {
  const { code, detail = "", stage = state.stage } = error;
  if (code === "cancelled") return end(state, "cancelled", { stage: "cancelled", endedIn: stage }, event);
  const fields = {
    stage: "error",
    error: Object.freeze({ code, detail, stage }),
    endedIn: stage,
    message: event.message || detail,
    timestamp: event.timestamp ?? state.timestamp,
    filename: state.filename ?? event.filename ?? null,
    kind: state.kind ?? event.kind ?? null,
  };
  return end(state, phaseOfError(code), fields, event);
}

/**
 * The end. `progress` stays where it was, so that a bar shows how far the upload had come. An end that
 * did not come from the journal (no `event`) may have left out stages that did.
 * @param {UploadState} state
 * @param {Phase} phase
 * @param {Partial<UploadState>} fields
 * @param {Partial<ProgressEvent>} [event]
 */
export function end(state, phase, fields, event = {}) {
  const passage = event.stage ? pass(state, event) : { gaps: state.gaps || state.phase !== "waiting" };
  const ended = fields.endedIn && fields.endedIn === state.stage ? state.stageProgress : 0;
  return change(state, {
    ...fields,
    phase,
    stageProgress: phase === "done" ? 100 : ended,
    etaSeconds: null,
    cancelling: false,
    paused: false,
    away: false,
    waiting: null,
    ...NO_PLACE,
    ...passage,
  });
}

/**
 * The one place where a state becomes another: checks the phase table, keeps the object if equal.
 * @param {UploadState} state
 * @param {Partial<UploadState>} fields
 * @returns {UploadState}
 */
export function change(state, fields) {
  const phase = fields.phase ?? state.phase;
  if (phase !== state.phase && !PHASES[state.phase].includes(phase)) return state;
  const keys = /** @type {(keyof UploadState)[]} */ (Object.keys(fields));
  const changed = keys.some((key) => !same(state[key], fields[key]));
  return changed ? Object.freeze({ ...state, ...fields }) : state;
}

/**
 * @param {unknown} a
 * @param {unknown} b
 */
function same(a, b) {
  if (!Array.isArray(a) || !Array.isArray(b)) return Object.is(a, b);
  return a.length === b.length && a.every((row, i) => row === b[i] || alike(row, b[i]));
}

/**
 * @param {PassedStage} a
 * @param {PassedStage} b
 */
function alike(a, b) {
  return a.stage === b.stage && a.from === b.from && a.to === b.to && a.message === b.message;
}
