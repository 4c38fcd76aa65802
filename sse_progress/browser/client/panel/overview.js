/**
 * What a list of uploads comes to: how many of each, and one percent for those that still run:
 * of the transfer as long as bytes travel, then of the work that follows.
 *
 * Pure functions of upload states. An upload that has ended says nothing about one that runs, so it
 * is counted, and never averaged.
 */

/** @import { UploadState } from "../index.js" */
/** @import { Say, Texts } from "../text/texts.js" */
import { hasEnded } from "../state/phases.js";

const TROUBLE = new Set(["refused", "failed"]);
const BEFORE_STORED = new Set(["waiting", "sending", "checking"]);

/**
 * `{sending, working, done, cancelled, trouble, percent}` of `states`; `percent` is null if none runs.
 * @param {readonly UploadState[]} states
 */
export function overview(states) {
  const active = states.filter((state) => !hasEnded(state));
  const travelling = active.filter((state) => BEFORE_STORED.has(state.phase));
  const sending = travelling.length;
  /** @param {(state: UploadState) => boolean} test */
  const count = (test) => states.filter(test).length;
  return {
    sending,
    working: active.length - sending,
    done: count((state) => state.phase === "done"),
    cancelled: count((state) => state.phase === "cancelled"),
    trouble: count((state) => TROUBLE.has(state.phase)),
    percent: active.length ? weighted(sending ? travelling : active) : null,
  };
}

/**
 * Whole percent of one upload for people: of the transfer while bytes travel, then of the work.
 * @param {UploadState} state
 */
export function shownPercent(state) {
  const shown = BEFORE_STORED.has(state.phase) ? state.stageProgress : state.progress;
  return Math.floor(shown);
}

/**
 * Percents weighted by bytes; an upload of unknown size weighs as much as the others on average.
 * @param {readonly UploadState[]} states
 */
function weighted(states) {
  const sizes = states.map((state) => state.size ?? state.total ?? 0);
  const known = sizes.filter((size) => size > 0);
  const usual = known.length ? known.reduce((sum, size) => sum + size, 0) / known.length : 1;
  const weights = sizes.map((size) => (size > 0 ? size : usual));
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  return Math.floor(states.reduce((sum, state, at) => sum + shownPercent(state) * weights[at], 0) / whole);
}

/**
 * The headline's text, its further parts, and the phase that colors it.
 * @param {readonly UploadState[]} states
 * @param {Texts} texts
 * @param {Say} say
 */
export function headline(states, texts, say) {
  const { sending, working, done, cancelled, trouble, percent } = overview(states);
  /** @type {["active" | "working" | "settled" | "stopped" | "trouble", number][]} */
  const counts = [
    ["active", sending],
    ["working", working],
    ["settled", done],
    ["stopped", cancelled],
    ["trouble", trouble],
  ];
  const parts = counts.filter(([, n]) => n > 0);
  // While something runs, what has ended well or was cancelled is of no interest here.
  const shown = percent === null ? parts : parts.filter(([name]) => !["settled", "stopped"].includes(name));
  const [title = "", ...more] = shown.map(([name, n]) => say(texts[name], { n }));
  const phase = percent !== null ? "working" : trouble ? "failed" : done ? "done" : "cancelled";
  return { title, more, phase, percent };
}
