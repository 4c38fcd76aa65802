/**
 * Which streams are open: one for everything where the service has it, else one for each of a few
 * uploads. Wakes them when the page or the network comes back. The one for everything is shared with the
 * browser's other tabs.
 */

/**
 * @import { Frame } from "./decoder.js"
 * @import { ReadOptions, ReadResult } from "./feed.js"
 * @import { Link } from "../index.js"
 * @import { Service } from "../service/service.js"
 *
 * @typedef {object} Owner
 * @property {(options: { asleep: boolean }) => { everything: boolean, ids: string[] }} wanted
 * @property {(frame: Frame) => void} onFrame
 * @property {() => void} onLive
 * @property {(id: string) => void} onRefused
 * @property {(options: ReadOptions) => Promise<ReadResult | "missing">} readAll
 * @property {(id: string, options: ReadOptions) => Promise<ReadResult>} readOne
 * @property {() => void} onLink
 */

import { Feed } from "./feed.js";
import { Observers } from "../service/observers.js";
import { uploadPath } from "../service/paths.js";
import { SharedFeed, canShare } from "./tabs.js";

const ALL = "*";
/** Streams of single uploads at once, where the service has no stream for all: it is HTTP/1.1's six. */
const SINGLE_STREAMS = 2;
/** A page out of sight gives up the stream for uploads that it neither sent nor asked for. */
const HIDDEN_MS = 60_000;
/**
 * The worst first: one word for several streams.
 * @type {Link[]}
 */
const LINKS = ["denied", "reconnecting", "polling", "connecting", "live"];

export class Streams {
  #service;
  #owner;
  #Shared;
  /** @type {Map<string, Feed | SharedFeed>} ALL or an upload's id → its feed */
  #feeds = new Map();
  #singles = false;
  #asleep = false;
  #planned = false;
  /** @type {Link} */
  #link = "idle";
  /** @type {Observers<[link: Link]>} */
  #observers = new Observers();
  #listening = new AbortController();

  /**
   * The owner says: `wanted({asleep})` → `{everything, ids}`, what should be followed now;
   * `onFrame(frame)`; `onLive()` when a stream has come (back); `onRefused(id)` for a single
   * stream's 204 or 403; `readAll(options)` and `readOne(id, options)` as Feed's `read`, where
   * `readAll` may also resolve to "missing"; `onLink()` when `linkOf` may have changed.
   * `tabs`: whether the stream for everything is shared with the browser's other tabs.
   * @param {Service} service
   * @param {Owner} owner
   * @param {{ tabs: "shared" | "alone" }} options
   */
  constructor(service, owner, { tabs }) {
    this.#Shared = tabs === "shared" && canShare() ? SharedFeed : Feed;
    this.#service = service;
    this.#owner = owner;
    this.#listenToPage();
  }

  /** What the connection as a whole is doing. */
  get link() {
    return this.#link;
  }

  /**
   * What the connection that brings news of `id` is doing.
   * @param {string} id
   * @returns {Link}
   */
  linkOf(id) {
    return (this.#feeds.get(ALL) ?? this.#feeds.get(id))?.state ?? "idle";
  }

  /**
   * @param {(link: Link) => void} listener
   * @param {{ signal?: AbortSignal }} [options]
   */
  observe(listener, options) {
    return this.#observers.add(listener, options);
  }

  /** Try again what was refused or lost: there are new credentials, or a new network. */
  renew() {
    for (const feed of this.#feeds.values()) feed.wake({ changed: true });
  }

  /** Look again at what is wanted, once, after everything that happens in this turn. */
  planSoon() {
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      this.#plan();
    });
  }

  close() {
    this.#listening.abort();
    for (const feed of this.#feeds.values()) feed.stop();
    this.#feeds.clear();
    this.#relink();
  }

  #plan() {
    if (this.#listening.signal.aborted) return;
    const keys = this.#keys();
    for (const [key, feed] of this.#feeds) {
      if (keys.includes(key)) continue;
      this.#feeds.delete(key);
      feed.stop();
    }
    for (const key of keys) {
      if (this.#feeds.has(key)) continue;
      const feed = this.#feed(key);
      this.#feeds.set(key, feed);
      feed.start();
    }
    this.#relink();
  }

  /** A lone upload gets its own stream, which resumes by id; the shared one begins with states. */
  #keys() {
    const { everything, ids } = this.#owner.wanted({ asleep: this.#asleep });
    if (this.#singles) return ids.slice(0, SINGLE_STREAMS);
    if (everything || ids.length > 1) return [ALL];
    if (ids.length === 0) return [];
    return this.#feeds.has(ALL) ? [ALL] : ids;
  }

  /** @param {string} key */
  #feed(key) {
    const owner = this.#owner;
    const common = {
      onFrame: owner.onFrame,
      onLink: (/** @type {Link} */ state) => {
        if (state === "live") owner.onLive();
        this.#relink();
      },
    };
    if (key !== ALL) {
      const read = (/** @type {ReadOptions} */ options) => owner.readOne(key, options);
      const onRefused = () => owner.onRefused(key);
      return new Feed(this.#service, uploadPath(key, "/progress"), { ...common, onRefused, read });
    }
    const read = (/** @type {ReadOptions} */ options) => this.#readAll(options);
    return new this.#Shared(this.#service, "uploads/progress", { ...common, onRefused: () => {}, read });
  }

  /**
   * @param {ReadOptions} options
   * @returns {Promise<ReadResult>}
   */
  async #readAll(options) {
    const result = await this.#owner.readAll(options);
    if (result !== "missing") return result;
    this.#singles = true;
    this.planSoon();
    return "away";
  }

  #relink() {
    const states = [...this.#feeds.values()].map((feed) => feed.state);
    const link = LINKS.find((state) => states.includes(state)) ?? "idle";
    const changed = link !== this.#link;
    this.#link = link;
    this.#owner.onLink();
    if (changed) this.#observers.notify(link);
  }

  #listenToPage() {
    const { signal } = this.#listening;
    /** @type {(target: EventTarget | undefined, type: string, act: (event: any) => void) => void} */
    const on = (target, type, act) => target?.addEventListener?.(type, act, { signal });
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let hidden;
    on(globalThis.document, "visibilitychange", () => {
      clearTimeout(hidden);
      if (document.hidden) hidden = setTimeout(() => this.#sleep(true), HIDDEN_MS);
      else this.#wake();
    });
    on(globalThis, "online", () => this.renew());
    on(globalThis, "offline", () => {
      for (const feed of this.#feeds.values()) feed.lost();
    });
    on(globalThis, "pageshow", ({ persisted }) => persisted && this.renew());
  }

  #wake() {
    this.#sleep(false);
    for (const feed of this.#feeds.values()) feed.wake();
  }

  /** @param {boolean} asleep */
  #sleep(asleep) {
    this.#asleep = asleep;
    this.planSoon();
  }
}
