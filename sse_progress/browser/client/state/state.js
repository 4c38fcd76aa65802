/**
 * What is known of one upload: a frozen state and one pure function that moves it.
 *
 * Owns every transition between its phases. Knows no network, clock or DOM: whatever happened comes in
 * as an input, and the next state comes out.
 */

/**
 * @import { Told } from "./history.js"
 * @import { Phase, ProgressEvent, UploadState } from "../index.js"
 * @import { Failure } from "./transitions.js"
 *
 * @typedef {Partial<ProgressEvent> & { status?: string }} Snapshot An upload's state as JSON.
 * @typedef {{
 *   send: {},
 *   bytes: { loaded: number, total: number },
 *   requeue: {},
 *   cut: {},
 *   answer: { status: number, body: any },
 *   event: { event: Partial<ProgressEvent> },
 *   snapshot: { state: Snapshot },
 *   unknown: {},
 *   cancelling: { on: boolean },
 *   paused: { on: boolean },
 *   away: { on: boolean },
 *   cancelled: {},
 *   named: { filename: string | null, size: number | null },
 *   place: { queuePosition: number, startsInSeconds: number | null },
 *   failed: { error: Failure },
 *   history: { told: Told },
 * }} Inputs
 * @typedef {{ [K in keyof Inputs]: { kind: K } & Inputs[K] }[keyof Inputs]} Input
 */

import { NOTHING, assume, complete, pass } from "./passed.js";
import { hasEnded } from "./phases.js";
import { percent, rankOf } from "./stages.js";
import { NO_PLACE, change, end, failed } from "./transitions.js";

/** @type {Readonly<Record<string, string>>} */
const NO_ARGS = Object.freeze({});
const QUEUED = "file_received";

/**
 * The first state of an upload. `size` is the file's bytes, null if it is not known here.
 * @param {{ id: string, filename?: string | null, size?: number | null, kind?: string | null }} known
 * @returns {UploadState}
 */
export function initial({ id, filename = null, size = null, kind = null }) {
  return Object.freeze({
    id,
    filename,
    size,
    kind,
    phase: "waiting",
    stage: null,
    progress: 0,
    stageProgress: 0,
    message: "",
    messageKey: null,
    messageArgs: NO_ARGS,
    timestamp: null,
    bytes: null,
    total: null,
    etaSeconds: null,
    media: null,
    error: null,
    endedIn: null,
    fromServer: false,
    cancelling: false,
    paused: false,
    held: null,
    away: false,
    waiting: null,
    ...NO_PLACE,
    ...NOTHING,
  });
}

/**
 * The state after `input`; the very same object if nothing changed.
 *
 * Inputs: `{kind: "send"}` the body starts; `{kind: "bytes", loaded, total}` bytes left the browser;
 * `{kind: "requeue"}` the service asked to come again later; `{kind: "cut"}` the request broke
 * without an answer; `{kind: "answer", status, body}` the POST's answer; `{kind: "event", event}`
 * from a stream; `{kind: "snapshot", state}` an upload's state as JSON; `{kind: "unknown"}` the
 * service has never heard of it; `{kind: "cancelling", on}`; `{kind: "cancelled"}`;
 * `{kind: "paused", on}` by its sender here; `{kind: "away", on}` the network is;
 * `{kind: "named", filename, size}`; `{kind: "place", queuePosition, startsInSeconds}` in the queue;
 * `{kind: "failed", error}`;
 * `{kind: "history", told}` what the journal says of its stages, also after the end.
 *
 * @param {UploadState} state
 * @param {Input} input
 * @returns {UploadState}
 */
export function next(state, input) {
  if (hasEnded(state) && input.kind !== "history") return state;
  const handler = /** @type {(state: UploadState, input: Input) => UploadState} */ (HANDLERS[input.kind]);
  return handler(state, input);
}

/** @type {{ [K in keyof Inputs]: (state: UploadState, input: Inputs[K]) => UploadState }} */
const HANDLERS = {
  named: (state, { filename, size }) =>
    change(state, { filename: state.filename ?? filename, size: state.size ?? size }),
  place: (state, { queuePosition, startsInSeconds }) =>
    state.stage === QUEUED ? change(state, { queuePosition, startsInSeconds }) : state,
  send: (state) =>
    state.phase === "waiting" ? change(state, { phase: "sending", held: state.held ?? false }) : state,
  bytes: ownBytes,
  requeue: (state) =>
    state.fromServer
      ? state
      : change(state, { phase: "waiting", stage: null, progress: 0, stageProgress: 0, bytes: null }),
  cut: (state) => (state.phase === "sending" ? change(state, { phase: "checking", held: null }) : state),
  answer: answered,
  event: (state, { event }) => heard(state, event),
  snapshot: (state, input) => snapshot(state, input.state),
  unknown: neverArrived,
  cancelling: (state, { on }) => change(state, { cancelling: on }),
  paused: (state, { on }) => change(state, { paused: on, held: on }),
  away: (state, { on }) => change(state, { away: on }),
  cancelled: (state) => end(state, "cancelled", { stage: "cancelled", endedIn: state.stage }),
  failed: (state, { error }) => failed(state, error),
  history: completed,
};

/**
 * Our own count of bytes, until the service's is seen: the bar moves from the first moment.
 * @param {UploadState} state
 * @param {Inputs["bytes"]} input
 */
function ownBytes(state, { loaded, total }) {
  if (state.phase !== "sending" || state.fromServer) return state;
  const stageProgress = total > 0 ? Math.min(100, Math.floor((loaded * 100) / total)) : 0;
  return change(state, {
    stage: "receiving",
    stageProgress,
    progress: percent("receiving", stageProgress),
    bytes: loaded,
    total,
    passed: assume(state.passed, "receiving"),
  });
}

/**
 * @param {UploadState} state
 * @param {Inputs["answer"]} input
 */
function answered(state, { status, body }) {
  const code = body?.code ?? codeOfStatus(status);
  if (status === 200 && body?.data?.media) {
    return end(state, "done", { stage: "complete", progress: 100, media: body.data.media });
  }
  if (status >= 200 && status < 300) return stored(state);
  if (code === "cancelled") return HANDLERS.cancelled(state, {});
  if (code === null) return HANDLERS.cut(state, {}); // a proxy's 502 or 504 says nothing of the upload
  return failed(state, { code, detail: body?.detail ?? "", stage: state.stage ?? "receiving" });
}

/**
 * For answers that are not the service's own: a proxy's 413 is as good as ours, its 5xx is not.
 * @param {number} status
 * @returns {string | null}
 */
function codeOfStatus(status) {
  /** @type {Record<number, string>} */
  const known = {
    401: "unauthenticated",
    403: "forbidden",
    408: "receive_timeout",
    410: "upload_gone",
    413: "too_large",
  };
  if (status in known) return known[status];
  return status >= 400 && status < 500 ? "bad_request" : null;
}

/**
 * A 202: the whole file is safe on the other side, whether or not a stream has said so yet.
 * @param {UploadState} state
 */
function stored(state) {
  if (state.phase === "working") return state;
  return change(state, {
    phase: "working",
    stage: QUEUED,
    stageProgress: 100,
    progress: percent(QUEUED, 100),
    message: "",
    messageKey: null,
    passed: assume(state.passed, QUEUED),
  });
}

/**
 * @param {UploadState} state
 * @param {Partial<ProgressEvent>} event
 */
function heard(state, event) {
  if (event.type !== "progress" && event.type !== "reset") return state;
  if (isReplay(state, event)) return state;
  const fields = fieldsOf(state, event);
  if (event.stage === "cancelled") {
    const endedIn = event.error?.stage ?? state.stage;
    return end(state, "cancelled", { ...fields, progress: state.progress, endedIn }, event);
  }
  if (event.error) return failed(state, event.error, event);
  if (event.stage === "complete") {
    return end(state, "done", { ...fields, progress: 100, media: event.media ?? null }, event);
  }
  if (event.stage === "error") return failed(state, { code: "internal", detail: "" }, event);
  const receiving = event.stage === "receiving";
  // Our own count runs ahead of the service's by what the network holds, which may be all of a file:
  // the service's first one corrects it, and from then on no bar steps back.
  const floor = state.fromServer && (event.type === "progress" || receiving) ? state.progress : 0;
  const stageFloor = receiving && state.fromServer && state.stage === "receiving" ? state.stageProgress : 0;
  const phase = receiving && state.phase !== "working" ? receivingPhase(state) : "working";
  return change(state, {
    ...fields,
    phase,
    progress: Math.max(fields.progress, floor),
    stageProgress: Math.max(fields.stageProgress, stageFloor),
    bytes: event.bytes ?? state.bytes,
    paused: state.held ?? event.paused === true,
    waiting: event.waiting ?? null,
    ...(fields.stage === QUEUED ? {} : NO_PLACE),
    away: phase === "working" ? false : state.away,
    fromServer: true,
    ...pass(state, event),
  });
}

/**
 * While the service still waits for a body whose request broke here, nothing is being sent.
 * @param {UploadState} state
 * @returns {Phase}
 */
function receivingPhase(state) {
  return state.phase === "checking" ? "checking" : "sending";
}

/**
 * A state read as JSON may be older than what a stream has said since: then it says nothing.
 * @param {UploadState} state
 * @param {Snapshot} seen
 */
function snapshot(state, seen) {
  if (seen.status === "pending" || !seen.stage) {
    return state.phase === "checking" ? neverArrived(state) : state;
  }
  const named = seen.filename ? HANDLERS.named(state, { filename: seen.filename, size: null }) : state;
  return isBehind(state, seen) ? named : heard(named, { ...seen, type: "reset" });
}

/**
 * Two events may have one timestamp, a stage's end and the beginning of the next: then what they say
 * tells which came first.
 * @param {UploadState} state
 * @param {Snapshot} seen
 */
function isBehind(state, seen) {
  if (!state.fromServer || !seen.timestamp || !state.timestamp) return false;
  if (seen.timestamp !== state.timestamp) return seen.timestamp < state.timestamp;
  if (seen.stage === state.heard) return (seen.stageProgress ?? 0) < state.stageProgress;
  return isReplay(state, { ...seen, type: "progress" });
}

/** @param {UploadState} state */
function neverArrived(state) {
  if (state.phase === "checking") {
    return failed(state, { code: "network", detail: "", stage: "receiving" });
  }
  if (state.phase !== "working") return state;
  return failed(state, { code: "unknown_upload", detail: "", stage: state.stage });
}

/**
 * A stream that is opened again without a position repeats everything from the beginning.
 * @param {UploadState} state
 * @param {Partial<ProgressEvent>} event
 */
function isReplay(state, { type, stage, timestamp }) {
  if (type !== "progress" || !state.heard) return false;
  if (timestamp && state.timestamp && timestamp < state.timestamp) return true;
  if (!stage) return false;
  const order = state.passed.map((row) => row.stage);
  if (order.includes(stage)) return order.indexOf(stage) < order.indexOf(state.heard);
  // A kind may have these names in an order of its own.
  return state.kind === null && rankOf(stage) >= 0 && rankOf(stage) < rankOf(state.heard);
}

/**
 * @param {UploadState} state
 * @param {Inputs["history"]} input
 */
function completed(state, { told }) {
  const passage = complete(state, told.passage);
  if (!hasEnded(state) || state.phase === "done" || !told.endedIn) return change(state, passage);
  return change(state, { ...passage, endedIn: told.endedIn, stageProgress: told.stageProgress });
}

/**
 * @param {UploadState} state
 * @param {Partial<ProgressEvent>} event
 */
function fieldsOf(state, event) {
  return {
    filename: state.filename ?? event.filename ?? null,
    kind: state.kind ?? event.kind ?? null,
    stage: event.stage ?? state.stage,
    progress: percentOr(event.progress, state.progress),
    stageProgress: percentOr(event.stageProgress, 0),
    message: event.message ?? "",
    messageKey: event.messageKey ?? null,
    messageArgs: event.messageArgs ?? NO_ARGS,
    timestamp: event.timestamp ?? state.timestamp,
    total: event.total ?? state.total,
    etaSeconds: event.etaSeconds ?? null,
  };
}

/**
 * @param {unknown} value
 * @param {number} otherwise
 */
function percentOr(value, otherwise) {
  return typeof value === "number" && Number.isFinite(value) ? Math.min(100, Math.max(0, value)) : otherwise;
}
