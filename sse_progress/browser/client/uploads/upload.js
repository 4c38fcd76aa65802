/** One upload as its user holds it: a state to read, listeners to add, and what can be done with it. */

import { UploadError } from "../service/errors.js";
import { Observers } from "../service/observers.js";
import { hasEnded } from "../state/phases.js";

/**
 * @import { Link, Media, ProgressEvent, UploadState } from "../index.js"
 *
 * @typedef {object} Actions What the Client does for its uploads.
 * @property {(upload: Upload) => Promise<void>} cancel
 * @property {(upload: Upload) => Upload} retry
 * @property {(upload: Upload, on: boolean) => void} pause
 * @property {(upload: Upload) => boolean} canPause
 * @property {(upload: Upload) => boolean} canGoOn
 * @property {(upload: Upload) => void} forget
 * @property {(upload: Upload) => Promise<boolean>} readHistory
 */

export class Upload {
  #actions;
  /** @type {Observers<[upload: Upload, event: ProgressEvent | null]>} */
  #observers = new Observers();
  /** @type {{ promise: Promise<Media>, resolve: (media: any) => void, reject: (error: UploadError) => void }} */
  #settled = withResolvers();

  /**
   * Made by a Client. `file` is null for an upload that was sent from elsewhere.
   * @param {UploadState} state
   * @param {{ file?: Blob | null, actions: Actions }} options
   */
  constructor(state, { file = null, actions }) {
    this.state = state;
    this.file = file;
    /**
     * What the connection is doing: connecting, live, reconnecting, polling, denied or idle.
     * @type {Link}
     */
    this.link = "idle";
    /** When this object was made, ms since the epoch. */
    this.createdAt = Date.now();
    this.#actions = actions;
    /** Resolves to `media`; rejects with UploadError, code `cancelled` for a cancelled one. */
    this.done = this.#settled.promise;
    this.done.catch(() => {}); // an upload whose `done` is not used causes no unhandled rejection
    this.#settleIfEnded();
  }

  get id() {
    return this.state.id;
  }

  get ended() {
    return hasEnded(this.state);
  }

  /**
   * `listener(upload, event)`; `event` is the wire's, or null for a change that was made here.
   * @param {(upload: Upload, event: ProgressEvent | null) => void} listener
   * @param {{ signal?: AbortSignal }} [options]
   */
  observe(listener, options) {
    return this.#observers.add(listener, options);
  }

  /**
   * Ask the service to cancel. Resolves once that is certain; the end itself comes as a state.
   * Rejects with UploadError if the service cannot be asked; an upload that has ended stays as it is.
   */
  cancel() {
    return this.#actions.cancel(this);
  }

  /** Whether it is sent from here, in parts: then it can be paused, and resumed. */
  get canPause() {
    return !this.ended && this.#actions.canPause(this);
  }

  /** Whether this browser has begun it, and the same file, chosen again, goes on where it was. */
  get canGoOn() {
    return !this.ended && !this.file && this.state.phase === "sending" && this.#actions.canGoOn(this);
  }

  /** Stop sending, and keep what has arrived; without effect unless `canPause`. */
  pause() {
    if (this.canPause) this.#actions.pause(this, true);
  }

  /** Go on where it was. */
  resume() {
    if (this.canPause) this.#actions.pause(this, false);
  }

  /** Send the same file again, under a new id, and return that new Upload. Throws without a file. */
  retry() {
    if (!this.file) throw new UploadError({ code: "no_file", detail: "The file is not at hand any more." });
    return this.#actions.retry(this);
  }

  get canRetry() {
    return this.file !== null && ["failed", "cancelled"].includes(this.state.phase);
  }

  /** Read the journal, so that `state.passed` is whole; resolves to whether there was one to read. */
  readHistory() {
    return this.#actions.readHistory(this);
  }

  /** Stop following, without touching the upload itself. */
  forget() {
    this.#actions.forget(this);
  }

  /**
   * Only for the Client.
   * @param {UploadState} state
   * @param {ProgressEvent | null} event
   */
  become(state, event) {
    this.state = state;
    this.#observers.notify(this, event);
    this.#settleIfEnded();
  }

  /**
   * Only for the Client.
   * @param {Link} link
   */
  relink(link) {
    if (this.link === link) return;
    this.link = link;
    this.#observers.notify(this, null);
  }

  #settleIfEnded() {
    const { phase, media, error, stage } = this.state;
    if (!this.ended) return;
    if (phase === "done") this.#settled.resolve(media);
    else this.#settled.reject(new UploadError(error ?? { code: "cancelled", stage }));
  }
}

/** A promise and its two ends (ES2024's `Promise.withResolvers`, which older browsers lack). */
function withResolvers() {
  /** @type {any} */
  const ends = {};
  ends.promise = new Promise((resolve, reject) => Object.assign(ends, { resolve, reject }));
  return ends;
}
