/** Files on their way out: so many at once, the rest in order, and patience where the service asks for it. */

import { send } from "./send.js";

/** Refusals of too much at once that are waited out before they count as a failure. */
const PATIENCE = 10;

export class Outbox {
  #service;
  #parallel;
  #apply;
  #onAnswer;
  #onSilence;
  #waiting = [];
  #sending = 0;
  #pausedUntil = 0;

  /**
   * `apply(upload, input)` moves an upload's state; `onAnswer(upload)`: there is an answer;
   * `onSilence(upload)`: the request broke without one that says something.
   */
  constructor(service, { parallel, apply, onAnswer, onSilence }) {
    this.#service = service;
    this.#parallel = parallel;
    this.#apply = apply;
    this.#onAnswer = onAnswer;
    this.#onSilence = onSilence;
  }

  /** Send `upload` when its turn comes; `parcel` is `{filename, fields, signal}`. */
  add(upload, parcel) {
    this.#waiting.push({ upload, parcel, refusals: 0 });
    this.pump();
  }

  /** Whether `upload` still waits for its turn. */
  holds(upload) {
    return this.#waiting.some((entry) => entry.upload === upload);
  }

  drop(upload) {
    this.#waiting = this.#waiting.filter((entry) => entry.upload !== upload);
  }

  pump() {
    const waitMs = this.#pausedUntil - Date.now();
    if (waitMs > 0) return void setTimeout(() => this.pump(), waitMs);
    while (this.#sending < this.#parallel && this.#waiting.length) void this.#send(this.#waiting.shift());
  }

  async #send(entry) {
    const { upload, parcel } = entry;
    this.#sending += 1;
    this.#apply(upload, { kind: "send" });
    const onBytes = (loaded, total) => this.#apply(upload, { kind: "bytes", loaded, total });
    const answer = await send(this.#service, { ...parcel, id: upload.id, file: upload.file, onBytes });
    this.#sending -= 1;
    if (!upload.ended && !parcel.signal.aborted) this.#answered(entry, answer);
    this.pump();
  }

  #answered(entry, answer) {
    const { upload } = entry;
    if (answer?.status === 429 && !upload.state.fromServer && entry.refusals < PATIENCE) {
      entry.refusals += 1;
      this.#pausedUntil = Date.now() + 1000 * (answer.retryAfterS ?? 2 ** entry.refusals);
      this.#apply(upload, { kind: "requeue" });
      this.#waiting.unshift(entry);
      return;
    }
    this.#apply(upload, answer ? { kind: "answer", ...answer } : { kind: "cut" });
    this.#onAnswer(upload);
    if (upload.state.phase === "checking") this.#onSilence(upload);
  }
}
