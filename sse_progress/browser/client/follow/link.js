/**
 * What the connection to the service is doing: one table of transitions, and how long to wait.
 *
 * Pure: inputs come in, the next link and the effects to carry out come back. The one who carries
 * them out is `feed.js`.
 */

import { HEARTBEAT_MS } from "../service/wire.js";

/** Milliseconds without a frame until a live stream is considered dead: two heartbeats and a margin. */
export const SILENCE_MS = 2 * HEARTBEAT_MS + 5_000;
/** Milliseconds without a first frame until a stream is considered held back by a proxy. */
export const OPENING_MS = 8_000;
/** After a sleep, a stream that missed a heartbeat is not trusted. */
export const STALE_MS = HEARTBEAT_MS + 1_000;

const FIRST_DELAY_MS = 3_000;
const LAST_DELAY_MS = 30_000;
/**
 * @import { Link } from "../index.js"
 *
 * @typedef {Readonly<{ state: Link, failures: number }>} LinkState
 * @typedef {"want" | "unwant" | "frame" | "lost" | "silent" | "due" | "wake" | "reachable" | "blocked"
 *   | "unpolled" | "denied"} LinkInput
 * @typedef {"open" | "close" | "backoff" | "poll" | "unpoll" | "catchup"} Effect
 */

/** @type {LinkState} */
export const IDLE = Object.freeze({ state: "idle", failures: 0 });

/**
 * link state × input → [next state, effects…].
 *
 * Inputs: `want` the first reader follows; `unwant` the last one left; `frame` the stream spoke; `lost` it broke
 * or would not open; `silent` it said nothing for too long; `due` a back-off ran out; `wake` the
 * page came back; `reachable` JSON answers, so a stream should soon; `blocked` JSON answers and streams
 * do not, or none is wanted; `unpolled` JSON does not answer either; `denied` the service wants other credentials.
 *
 * Effects: `open` a stream (closing an older one), `close` it, `backoff` then `due`, `poll`,
 * `unpoll`, `catchup` read the states once as JSON.
 *
 * @type {Readonly<Record<Link, { [K in LinkInput]?: [Link, ...Effect[]] }>>}
 */
const TABLE = Object.freeze({
  idle: {
    want: ["connecting", "open"],
  },
  connecting: {
    unwant: ["idle", "close"],
    frame: ["live"],
    lost: ["reconnecting", "close", "catchup", "backoff"],
    silent: ["reconnecting", "close", "catchup", "backoff"],
    blocked: ["polling", "poll", "backoff"],
    denied: ["denied", "close"],
    wake: ["connecting", "open"],
  },
  live: {
    unwant: ["idle", "close"],
    frame: ["live"],
    lost: ["reconnecting", "close", "backoff"],
    silent: ["reconnecting", "open"],
    denied: ["denied", "close"],
    wake: ["reconnecting", "open", "catchup"],
  },
  reconnecting: {
    unwant: ["idle", "close"],
    frame: ["live"],
    due: ["reconnecting", "open"],
    lost: ["reconnecting", "close", "catchup", "backoff"],
    silent: ["reconnecting", "close", "catchup", "backoff"],
    reachable: ["reconnecting", "open"],
    blocked: ["polling", "poll", "backoff"],
    denied: ["denied", "close"],
    wake: ["reconnecting", "open", "catchup"],
  },
  polling: {
    unwant: ["idle", "close", "unpoll"],
    frame: ["live", "unpoll"],
    due: ["polling", "open"],
    lost: ["polling", "close", "backoff"],
    silent: ["polling", "close", "backoff"],
    unpolled: ["reconnecting", "unpoll", "backoff"],
    denied: ["denied", "close", "unpoll"],
    wake: ["polling", "open", "catchup"],
  },
  denied: {
    unwant: ["idle"],
    want: ["connecting", "open"],
    wake: ["connecting", "open"],
  },
});

/**
 * The next link and its effects; an input that means nothing in a state changes nothing.
 * @param {LinkState} link
 * @param {LinkInput} input
 * @returns {{ link: LinkState, effects: Effect[] }}
 */
export function step(link, input) {
  const row = TABLE[link.state][input];
  if (!row) return { link, effects: [] };
  const [state, ...effects] = row;
  return { link: Object.freeze({ state, failures: failuresAfter(link, input, state) }), effects };
}

/**
 * @param {LinkState} link
 * @param {LinkInput} input
 * @param {Link} state
 */
function failuresAfter(link, input, state) {
  if (state === "live" || state === "idle" || input === "wake") return 0;
  return input === "lost" || input === "silent" || input === "unpolled" ? link.failures + 1 : link.failures;
}

/**
 * Milliseconds to wait before the next attempt: 3 s doubling to 30 s, of which the second half is
 * left to chance, so that a thousand clients do not come back in the same moment.
 * `random` is a number in [0, 1).
 * @param {LinkState} link
 * @param {number} random
 */
export function delayMs(link, random) {
  const whole =
    link.state === "polling"
      ? LAST_DELAY_MS
      : Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.max(0, link.failures - 1));
  return Math.round(whole * (0.5 + random / 2));
}

/**
 * Whether coming back after `silentMs` without a frame is reason enough to distrust the stream.
 * @param {number} silentMs
 */
export function isStale(silentMs) {
  return silentMs > STALE_MS;
}
