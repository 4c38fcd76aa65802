/** Files to send: a few at once, the rest in order, with the pauses that the service asks for. */

/**
 * @import { Turn } from "./resumable.js"
 * @import { Fields, Sent } from "./send.js"
 * @import { Params, Service } from "../service/service.js"
 * @import { Input } from "../state/state.js"
 * @import { Upload } from "../uploads/upload.js"
 *
 * @typedef {{ filename: string, fields: Fields, labels: Params, signal: AbortSignal, turn: Turn | null, known?: boolean }} Parcel
 *   With a `turn` it goes in parts.
 * @typedef {{ upload: Upload, file: Blob, parcel: Parcel, refusals: number }} Entry
 */

import { sendInParts } from "./resumable.js";
import { send } from "./send.js";

/** Refusals of too much at once that are waited out before they count as a failure. */
const PATIENCE = 10;

export class Outbox {
  #service;
  #parallel;
  #apply;
  #onAnswer;
  #onSilence;
  /** @type {Entry[]} */
  #waiting = [];
  /** @type {Set<Upload>} those of #waiting: with many files they are asked for often */
  #held = new Set();
  #sending = 0;
  #pausedUntil = 0;

  /**
   * `apply(upload, input)` moves an upload's state; `onAnswer(upload)`: there is an answer;
   * `onSilence(upload)`: the request broke without one that says something.
   * @param {Service} service
   * @param {{ parallel: number, apply: (upload: Upload, input: Input) => void,
   *   onAnswer: (upload: Upload) => void, onSilence: (upload: Upload) => void }} options
   */
  constructor(service, { parallel, apply, onAnswer, onSilence }) {
    this.#service = service;
    this.#parallel = parallel;
    this.#apply = apply;
    this.#onAnswer = onAnswer;
    this.#onSilence = onSilence;
  }

  /**
   * Send `file` as `upload` when its turn comes.
   * @param {Upload} upload
   * @param {Blob} file
   * @param {Parcel} parcel
   */
  add(upload, file, parcel) {
    this.#waiting.push({ upload, file, parcel, refusals: 0 });
    this.#held.add(upload);
    this.pump();
  }

  /**
   * Whether `upload` still waits for its turn.
   * @param {Upload} upload
   */
  holds(upload) {
    return this.#held.has(upload);
  }

  /** @param {Upload} upload */
  drop(upload) {
    if (!this.#held.delete(upload)) return;
    this.#waiting = this.#waiting.filter((entry) => entry.upload !== upload);
  }

  pump() {
    const waitMs = this.#pausedUntil - Date.now();
    if (waitMs > 0) return void setTimeout(() => this.pump(), waitMs);
    while (this.#sending < this.#parallel) {
      const entry = this.#waiting.shift();
      if (!entry) return;
      this.#held.delete(entry.upload);
      void this.#send(entry);
    }
  }

  /** @param {Entry} entry */
  async #send(entry) {
    const { upload, file, parcel } = entry;
    this.#sending += 1;
    this.#apply(upload, { kind: "send" });
    /** @type {(loaded: number, total: number) => void} */
    const onBytes = (loaded, total) => this.#apply(upload, { kind: "bytes", loaded, total });
    const { turn, ...rest } = parcel;
    /** @type {(on: boolean) => void} */
    const onWaiting = (on) => this.#apply(upload, { kind: "away", on });
    const answer = await (turn
      ? sendInParts(this.#service, { ...rest, turn, id: upload.id, file, onBytes, onWaiting })
      : send(this.#service, { ...rest, id: upload.id, file, onBytes }));
    this.#sending -= 1;
    if (!upload.ended && !parcel.signal.aborted) this.#answered(entry, answer);
    this.pump();
  }

  /**
   * @param {Entry} entry
   * @param {Sent | null} answer
   */
  #answered(entry, answer) {
    const { upload } = entry;
    if (answer?.status === 429 && !upload.state.fromServer && entry.refusals < PATIENCE) {
      entry.refusals += 1;
      this.#pausedUntil = Date.now() + 1000 * (answer.retryAfterS ?? 2 ** entry.refusals);
      this.#apply(upload, { kind: "requeue" });
      this.#waiting.unshift(entry);
      this.#held.add(upload);
      return;
    }
    this.#apply(upload, answer ? { kind: "answer", ...answer } : { kind: "cut" });
    this.#onAnswer(upload);
    if (upload.state.phase === "checking") this.#onSilence(upload);
  }
}
