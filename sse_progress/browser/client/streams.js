/**
 * Which streams are open: one for everything where the service has it, else one for each of a few
 * uploads. Wakes them when the page or the network comes back.
 */

import { Feed } from "./feed.js";
import { Observers } from "./observers.js";
import { uploadPath } from "./service.js";

const ALL = "*";
/** Streams of single uploads at once, where the service has no stream for all: it is HTTP/1.1's six. */
const SINGLE_STREAMS = 2;
/** A page out of sight gives up the stream for uploads that it neither sent nor asked for. */
const HIDDEN_MS = 60_000;
/** The worst first: one word for several streams. */
const LINKS = ["denied", "reconnecting", "polling", "connecting", "live"];

export class Streams {
  #service;
  #owner;
  #feeds = new Map(); // ALL or an upload's id → Feed
  #singles = false;
  #asleep = false;
  #planned = false;
  #link = "idle";
  #observers = new Observers();
  #listening = new AbortController();

  /**
   * The owner says: `wanted({asleep})` → `{everything, ids}`, what should be followed now;
   * `onFrame(frame)`; `onLive()` when a stream has come (back); `onRefused(id)` for a single
   * stream's 204 or 403; `readAll(options)` and `readOne(id, options)` as Feed's `read`, where
   * `readAll` may also resolve to "missing"; `onLink()` when `linkOf` may have changed.
   */
  constructor(service, owner) {
    this.#service = service;
    this.#owner = owner;
    this.#listenToPage();
  }

  /** What the connection as a whole is doing. */
  get link() {
    return this.#link;
  }

  /** What the connection that brings news of `id` is doing. */
  linkOf(id) {
    return (this.#feeds.get(ALL) ?? this.#feeds.get(id))?.state ?? "idle";
  }

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

  #feed(key) {
    const owner = this.#owner;
    const common = {
      onFrame: owner.onFrame,
      onLink: (state) => {
        if (state === "live") owner.onLive();
        this.#relink();
      },
    };
    if (key !== ALL) {
      const read = (options) => owner.readOne(key, options);
      const onRefused = () => owner.onRefused(key);
      return new Feed(this.#service, uploadPath(key, "/progress"), { ...common, onRefused, read });
    }
    const read = (options) => this.#readAll(options);
    return new Feed(this.#service, "uploads/progress", { ...common, onRefused: () => {}, read });
  }

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
    const on = (target, type, act) => target?.addEventListener?.(type, act, { signal });
    let hidden = null;
    on(globalThis.document, "visibilitychange", () => {
      clearTimeout(hidden);
      if (document.hidden) hidden = setTimeout(() => this.#sleep(true), HIDDEN_MS);
      else this.#wake();
    });
    on(globalThis, "online", () => this.renew());
    on(globalThis, "offline", () => this.#feeds.forEach((feed) => feed.lost()));
    on(globalThis, "pageshow", ({ persisted }) => persisted && this.renew());
  }

  #wake() {
    this.#sleep(false);
    for (const feed of this.#feeds.values()) feed.wake();
  }

  #sleep(asleep) {
    this.#asleep = asleep;
    this.planSoon();
  }
}
