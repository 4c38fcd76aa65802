/** What can be done with an upload of a Client: cancelled, paused, read again, forgotten. */

/**
 * @import { Known } from "./known.js"
 * @import { Outbox } from "../send/outbox.js"
 * @import { Service } from "../service/service.js"
 * @import { Upload } from "./upload.js"
 */

import { isBegun } from "../send/begun.js";
import { UploadError } from "../service/errors.js";
import { readHistory } from "../state/history.js";
import { uploadPath } from "../service/paths.js";

export class Actions {
  #service;
  #known;
  #outbox;
  #remember;
  #send;

  /**
   * `send` begins another upload of a file; `remember`: this browser keeps which files it has begun.
   * @param {Service} service
   * @param {{ known: () => Known, outbox: () => Outbox, remember: boolean,
   *   send: import("./client.js").Client["upload"] }} parts
   */
  constructor(service, { known, outbox, remember, send }) {
    this.#service = service;
    this.#known = known;
    this.#outbox = outbox;
    this.#remember = remember;
    this.#send = send;
  }

  /** @param {Upload} upload */
  async cancel(upload) {
    const [known, outbox] = [this.#known(), this.#outbox()];
    if (upload.ended) return;
    if (outbox.holds(upload)) {
      outbox.drop(upload);
      known.apply(upload, { kind: "cancelled" });
      return;
    }
    known.apply(upload, { kind: "cancelling", on: true });
    const ask = () =>
      this.#service.request("DELETE", uploadPath(upload.id)).catch(() => ({ status: 0, body: null }));
    let answer = await ask();
    // Cut the body only after the service has been told, so that the journal says "cancelled".
    const sending = upload.state.phase === "sending";
    if (sending) known.abort(upload);
    // The body may have filled the line, or its request has arrived only now.
    if (sending && (answer.status === 0 || answer.status === 404)) answer = await ask();
    if (answer.status === 204 || answer.status === 404) return known.apply(upload, { kind: "cancelled" });
    known.apply(upload, { kind: "cancelling", on: false });
    if (answer.status === 409) return; // it ended first: its own end is on the way
    throw new UploadError({ code: "network", ...answer.body, status: answer.status });
  }

  /** @param {Upload} upload */
  retry(upload) {
    const { signal, ...options } = this.#known().row(upload).options;
    if (!upload.file) throw new UploadError({ code: "no_file" });
    return this.#send(upload.file, { ...options, signal: signal?.aborted ? undefined : signal });
  }

  /** @param {Upload} upload */
  forget(upload) {
    this.#outbox().drop(upload);
    this.#known().forget(upload);
  }

  /** @param {Upload} upload */
  canPause(upload) {
    return Boolean(this.#known().row(upload)?.turn) && upload.state.phase !== "working";
  }

  /** @param {Upload} upload */
  canGoOn(upload) {
    return this.#remember && isBegun(upload.id);
  }

  /**
   * @param {Upload} upload
   * @param {boolean} on
   */
  pause(upload, on) {
    const known = this.#known();
    const { turn } = known.row(upload);
    known.apply(upload, { kind: "paused", on });
    if (on) turn?.pause();
    else turn?.resume();
  }

  /** @param {Upload} upload */
  async readHistory(upload) {
    const told = await readHistory(this.#service, upload.id);
    if (told) this.#known().apply(upload, { kind: "history", told });
    return told !== null;
  }
}
