/**
 * One stream for all tabs of a browser: whoever holds a Web Lock keeps it, the others hear its frames
 * over a BroadcastChannel, and take over when that tab is closed, frozen or signed out.
 *
 * Has Feed's interface. Knows who has the stream; how a stream is kept alive is Feed's. Only for
 * streams that begin with the present states, since a tab may join at any time.
 */

/**
 * @import { Frame } from "./decoder.js"
 * @import { Owner } from "./feed.js"
 * @import { Link } from "../index.js"
 * @import { Service } from "../service/service.js"
 *
 * @typedef {{ frame: Frame } | { link: Link } | { ask: true } | { wake: boolean } | { read: true }} Message
 *   `frame` of the stream; `link`: what the stream is doing, also as the answer to `ask`; `wake`: the
 *   reader came back; `read`: the states were read as JSON.
 * @typedef {ReturnType<typeof setTimeout> | undefined} Timer
 */

import { Feed } from "./feed.js";
import { SILENCE_MS } from "./link.js";
import { userOf } from "../service/token.js";

/** Milliseconds until a tab that does not answer is taken to be frozen. */
const ANSWER_MS = 5_000;
const PROTOCOL = "sse-progress 1";

/** Whether this browser can share: both need a window, and Web Locks a secure context. */
export function canShare() {
  return Boolean(globalThis.document && globalThis.navigator?.locks && globalThis.BroadcastChannel);
}

export class SharedFeed {
  #service;
  #path;
  #owner;
  /** @type {Link} */
  #state = "idle";
  /** @type {string | null} of lock and channel; null until the caller is known */
  #name = null;
  /** @type {BroadcastChannel | null} */
  #channel = null;
  /** @type {Feed | null} the stream, if this tab has it */
  #feed = null;
  /** @type {AbortController | null} its place in the queue for the lock, and the lock */
  #place = null;
  /** @type {Timer} */
  #watchdog;
  #wanted = false;

  /**
   * As Feed. `service.caller` tells users apart where no token does.
   * @param {Service} service
   * @param {string} path
   * @param {Owner} owner
   */
  constructor(service, path, owner) {
    this.#service = service;
    this.#path = path;
    this.#owner = owner;
  }

  get state() {
    return this.#state;
  }

  start() {
    this.#wanted = true;
    this.#become("connecting");
    void this.#join();
  }

  stop() {
    this.#wanted = false;
    this.#leave();
    this.#become("idle");
  }

  /** The page came back, or the network did (`changed`), maybe with other credentials. */
  wake({ changed = false } = {}) {
    if (changed) void this.#join().then((moved) => moved || this.#rouse(true));
    else this.#rouse(false);
  }

  /** @param {boolean} changed */
  #rouse(changed) {
    if (this.#feed) return this.#feed.wake({ changed });
    this.#post({ wake: changed });
    this.#ask();
  }

  /** The browser says that the network is gone. */
  lost() {
    this.#feed?.lost();
  }

  /** Meet the other tabs of this caller, and stand in line. Resolves to whether they are others now. */
  async #join() {
    const name = await nameOf(this.#service, this.#path);
    if (!this.#wanted) return true;
    const moved = name !== this.#name;
    if (moved) {
      this.#leave();
      this.#name = name;
      this.#channel = new BroadcastChannel(name);
      this.#channel.onmessage = ({ data }) => this.#hear(data);
    }
    this.#stand();
    this.#ask();
    return moved;
  }

  #leave() {
    clearTimeout(this.#watchdog);
    this.#place?.abort();
    this.#place = null;
    this.#resign();
    this.#channel?.close();
    this.#channel = this.#name = null;
  }

  // ---- the lock

  /**
   * Stand in line, once; `steal` takes the lock from a tab that does not answer.
   * @param {{ steal?: boolean }} [options]
   */
  #stand({ steal = false } = {}) {
    if (this.#place && !steal) return;
    this.#place?.abort();
    const place = new AbortController();
    this.#place = place;
    const held = () => (place.signal.aborted ? undefined : this.#lead(place.signal));
    navigator.locks
      .request(/** @type {string} */ (this.#name), steal ? { steal } : { signal: place.signal }, held)
      .catch(() => this.#lose(place));
  }

  /**
   * Have the stream until `signal`.
   * @param {AbortSignal} signal
   * @returns {Promise<void>} the lock is held until it resolves
   */
  #lead(signal) {
    clearTimeout(this.#watchdog);
    const owner = this.#owner;
    const feed = new Feed(this.#service, this.#path, {
      onFrame: (frame) => {
        this.#post({ frame });
        owner.onFrame(frame);
      },
      onLink: (link) => {
        if (this.#feed === feed) this.#follow(link);
      },
      onRefused: owner.onRefused,
      read: async (options) => {
        const result = await owner.read(options);
        if (result === "ok" || result === "changed") this.#post({ read: true });
        return result;
      },
    });
    this.#feed = feed;
    feed.start();
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }

  /**
   * The other tabs hear how it goes; whose credentials are refused lets another one try.
   * @param {Link} link
   */
  #follow(link) {
    if (link === "denied") {
      this.#place?.abort();
      this.#place = null;
      this.#resign();
    } else {
      this.#post({ link });
    }
    this.#become(link);
  }

  #resign() {
    const feed = this.#feed;
    this.#feed = null;
    feed?.stop();
  }

  /**
   * Another tab took the lock, since this one had been frozen; or it left by itself.
   * @param {AbortController} place
   */
  #lose(place) {
    if (this.#place !== place) return;
    this.#place = null;
    this.#resign();
    if (this.#wanted && this.#name) this.#stand();
    this.#ask();
  }

  // ---- the other tabs

  /** @param {Message} message */
  #post(message) {
    this.#channel?.postMessage(message);
  }

  /** @param {Message} message */
  #hear(message) {
    if (this.#feed) {
      if ("ask" in message) this.#post({ link: this.#feed.state });
      if ("wake" in message) this.#feed.wake({ changed: message.wake });
      return;
    }
    if ("ask" in message || "wake" in message) return;
    this.#watch();
    if ("link" in message) this.#become(message.link);
    if ("read" in message) void this.#owner.read({ wait: false });
    if (!("frame" in message)) return;
    this.#become("live");
    this.#owner.onFrame(message.frame);
  }

  /** Ask whoever has the stream; a tab that does not answer is frozen, and loses it. */
  #ask() {
    if (this.#feed || !this.#place) return;
    clearTimeout(this.#watchdog);
    this.#post({ ask: true });
    const patience = ANSWER_MS * (1 + Math.random() / 2); // so that not all of them take it at once
    this.#watchdog = setTimeout(() => this.#stand({ steal: true }), patience);
  }

  #watch() {
    clearTimeout(this.#watchdog);
    if (this.#place) this.#watchdog = setTimeout(() => this.#ask(), SILENCE_MS);
  }

  /** @param {Link} state */
  #become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#owner.onLink(state);
    if (state === "live" && !this.#feed) void this.#owner.read({ wait: false }); // what was before
  }
}

/**
 * The name under which tabs of one caller meet: the token's user where there is one, else who the page
 * says it is, since a script cannot see the cookie.
 * @param {Service} service
 * @param {string} path
 */
async function nameOf(service, path) {
  const { Authorization = "" } = await service.headers().catch(() => ({ Authorization: "" }));
  const caller = Authorization ? userOf(Authorization.replace(/^Bearer /, "")) : `page ${service.caller}`;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(caller));
  const hex = Array.from(new Uint8Array(digest, 0, 16), (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
  return `${PROTOCOL} ${service.address(path)} ${hex}`;
}
