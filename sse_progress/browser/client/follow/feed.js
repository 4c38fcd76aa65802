/**
 * Keeps one source of events alive: carries out what `link.js` decides, with real streams or sockets,
 * timers and polls. Knows positions and silence, but not what the events mean.
 */

/**
 * @import { Frame } from "./decoder.js"
 * @import { Link } from "../index.js"
 * @import { Effect, LinkInput } from "./link.js"
 * @import { Service } from "../service/service.js"
 * @import { Way } from "./transports.js"
 *
 * @typedef {"ok" | "changed" | "denied" | "away"} ReadResult
 * @typedef {{ wait: boolean, signal?: AbortSignal }} ReadOptions
 *
 * @typedef {object} Owner
 * @property {(frame: Frame) => void} onFrame an event, or a heartbeat that tells places in the queue
 * @property {(state: Link) => void} onLink
 * @property {(status: number) => void} onRefused
 * @property {(options: ReadOptions) => Promise<ReadResult>} read
 *
 * @typedef {ReturnType<typeof setTimeout> | undefined} Timer
 */

import { IDLE, OPENING_MS, SILENCE_MS, delayMs, isStale, step } from "./link.js";
import { OPENERS } from "./transports.js";

/** After a held request that brought something new: the next one is held again. */
const SHORT_PAUSE_MS = 300;
const QUICK_MS = 2_000;
const POLL_PAUSE_MS = 2_000;
const HIDDEN_POLL_PAUSE_MS = 10_000;
/**
 * While polling, each of these ends an attempt.
 * @type {readonly LinkInput[]}
 */
const FAILED = ["blocked", "lost", "silent"];

export class Feed {
  #link = IDLE;
  #close = () => {};
  /** @type {Timer} */
  #watchdog;
  /** @type {Timer} */
  #backoff;
  /** @type {AbortController | null} */
  #polls = null;
  #heardAt = 0;
  #spoke = false;
  #silent = false;
  #attempt = 0;
  #failedAlone = 0; // attempts that failed one after the other although JSON passed
  #position = "";
  /** @type {Way | undefined} of the attempt that is under way */
  #way;
  /** @type {Set<Way>} which failed since the last frame, or since the last pause */
  #failed = new Set();

  /**
   * `path` of the stream. The owner says: `onFrame(frame)` for each event, `onLink(state)` for each change,
   * `onRefused(status)` for a stream that answers 204 or 403, and `read({wait, signal})`, which reads
   * the states once as JSON and resolves to "ok", "changed" (something new came), "denied" or "away".
   * @param {Service} service
   * @param {string} path
   * @param {Owner} owner
   */
  constructor(service, path, { onFrame, onLink, onRefused, read }) {
    this.service = service;
    this.path = path;
    this.owner = { onFrame, onLink, onRefused, read };
  }

  get state() {
    return this.#link.state;
  }

  start() {
    this.#input("want");
  }

  stop() {
    this.#input("unwant");
    clearTimeout(this.#backoff);
  }

  /** The page came back, or the network did (`changed`: older connections are not to be trusted). */
  wake({ changed = false } = {}) {
    if (this.state !== "live" || changed || isStale(Date.now() - this.#heardAt)) this.#input("wake");
  }

  /** The browser says that the network is gone. */
  lost() {
    this.#input("lost");
  }

  /** @param {LinkInput} input */
  #input(input) {
    const before = this.state;
    const { link, effects } = step(this.#link, input);
    this.#link = link;
    for (const effect of effects) this.#effects[effect]();
    if (link.state !== before) this.owner.onLink(link.state);
    if (link.state === "polling" && FAILED.includes(input)) this.#turn();
  }

  /** What the last attempt used is held back: polling has begun, and the other way is tried at once. */
  #turn() {
    if (this.#way) this.#failed.add(this.#way);
    this.#way = this.#untried();
    if (this.#way) this.#input("due");
    else this.#failed.clear();
  }

  #untried() {
    return this.service.transports.for(this.path).find((way) => !this.#failed.has(way));
  }

  /** @type {Record<Effect, () => void>} */
  #effects = {
    open: () => this.#open(),
    close: () => this.#shut(),
    backoff: () => {
      clearTimeout(this.#backoff);
      this.#backoff = setTimeout(() => this.#input("due"), delayMs(this.#link, Math.random()));
    },
    catchup: () => void this.#catchUp(),
    poll: () => void this.#poll(),
    unpoll: () => this.#polls?.abort(),
  };

  #open() {
    this.#shut();
    clearTimeout(this.#backoff);
    this.#spoke = this.#silent = false;
    this.#attempt += 1;
    this.#way ??= this.#untried();
    if (!this.#way) return queueMicrotask(() => this.#input("blocked"));
    this.#watch(OPENING_MS);
    this.#close = OPENERS[this.#way](this.service, this.path, {
      lastEventId: this.#position,
      onFrame: (frame) => this.#heard(frame),
      onEnd: ({ status }) => this.#ended(status),
    });
  }

  #shut() {
    clearTimeout(this.#watchdog);
    this.#close();
    this.#close = () => {};
  }

  /** @param {number} silenceMs */
  #watch(silenceMs) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      this.#silent = !this.#spoke;
      this.#input("silent");
    }, silenceMs);
  }

  /** @param {Frame} frame */
  #heard(frame) {
    this.#heardAt = Date.now();
    this.#spoke = true;
    this.#failedAlone = 0;
    this.#failed.clear();
    if (this.#way) this.service.transports.passed(this.#way);
    if (frame.id) this.#position = frame.id;
    this.#watch(SILENCE_MS);
    this.#input("frame");
    const tells = frame.event === "heartbeat" && frame.data.includes('"waiting"');
    if (frame.event === "message" || tells) this.owner.onFrame(frame);
  }

  /** @param {number} status */
  #ended(status) {
    if (status === 204 || status === 403) this.owner.onRefused(status);
    this.#input(status === 401 || status === 403 ? "denied" : "lost");
  }

  /**
   * A stream failed; does JSON pass? After an outage the next stream will, too. A stream that stays
   * silent while JSON is quick, or fails twice, is held back by something in between. Slow JSON proves
   * nothing: a service that is just starting lets both wait.
   */
  async #catchUp() {
    const attempt = this.#attempt;
    const askedAt = Date.now();
    const result = await this.owner.read({ wait: false });
    if (result === "denied") this.#input("denied");
    if (result === "away") this.#failedAlone = 0;
    if (attempt !== this.#attempt || this.#spoke || !["ok", "changed"].includes(result)) return;
    if (Date.now() - askedAt < QUICK_MS) this.#failedAlone += this.#silent ? 2 : 1;
    this.#input(this.#failedAlone > 1 ? "blocked" : "reachable");
  }

  async #poll() {
    const polls = new AbortController();
    this.#polls?.abort();
    this.#polls = polls;
    let wait = true;
    while (!polls.signal.aborted) {
      const result = await this.owner.read({ wait, signal: polls.signal });
      if (polls.signal.aborted) return;
      if (result === "denied") return this.#input("denied");
      if (result === "away" && !wait) return this.#input("unpolled");
      wait = result !== "away"; // what breaks long requests may still let short ones pass
      await pause(result === "changed" && wait ? SHORT_PAUSE_MS : pollPauseMs(), polls.signal);
    }
  }
}

function pollPauseMs() {
  return globalThis.document?.hidden ? HIDDEN_POLL_PAUSE_MS : POLL_PAUSE_MS;
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
