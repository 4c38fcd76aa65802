/** One upload as its user holds it: a state to read, listeners to add, and what can be done with it. */

import { UploadError } from "./errors.js";
import { Observers } from "./observers.js";
import { hasEnded } from "./state.js";

export class Upload {
  #actions;
  #observers = new Observers();
  #settle;

  /** Made by a Client. `file` is null for an upload that was sent from elsewhere. */
  constructor(state, { file = null, actions }) {
    this.state = state;
    this.file = file;
    /** What the connection is doing: connecting, live, reconnecting, polling, denied or idle. */
    this.link = "idle";
    /** When this object was made, ms since the epoch. */
    this.createdAt = Date.now();
    this.#actions = actions;
    /** Resolves to `media`; rejects with UploadError, code `cancelled` for a cancelled one. */
    this.done = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.done.catch(() => {}); // whoever does not ask is not told by an unhandled rejection
    this.#settleIfEnded();
  }

  get id() {
    return this.state.id;
  }

  get ended() {
    return hasEnded(this.state);
  }

  /** `listener(upload, event)`; `event` is the wire's, or null for a change that was made here. */
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

  /** Send the same file again, under a new id, and return that new Upload. Throws without a file. */
  retry() {
    if (!this.file) throw new UploadError({ code: "no_file", detail: "The file is not at hand any more." });
    return this.#actions.retry(this);
  }

  get canRetry() {
    return this.file !== null && ["failed", "cancelled"].includes(this.state.phase);
  }

  /** Stop following, without touching the upload itself. */
  forget() {
    this.#actions.forget(this);
  }

  /** For the Client alone. */
  become(state, event) {
    this.state = state;
    this.#observers.notify(this, event);
    this.#settleIfEnded();
  }

  /** For the Client alone. */
  relink(link) {
    if (this.link === link) return;
    this.link = link;
    this.#observers.notify(this, null);
  }

  #settleIfEnded() {
    const { phase, media, error, stage } = this.state;
    if (!this.ended) return;
    if (phase === "done") this.#settle.resolve(media);
    else this.#settle.reject(new UploadError(error ?? { code: "cancelled", stage }));
  }
}
