/**
 * What is sent from here together, from the first file until all have ended: how many are done, and how
 * many bytes have gone, at what speed. Entries that leave the list meanwhile still count.
 */

/** @import { UploadState } from "../index.js" */

import { Meter } from "./meter.js";
import { hasEnded } from "../state/phases.js";

const TRAVELLING = new Set(["waiting", "sending", "checking"]);

export class Run {
  #meter = new Meter();
  /** @type {Map<string, { size: number, sent: number, ended: boolean }>} by upload id */
  #files = new Map();
  #size = 0;
  #sent = 0;
  #ended = 0;

  /**
   * Take in a state of an upload that is sent from here.
   * @param {UploadState} state
   * @param {number} nowMs
   */
  note(state, nowMs) {
    const known = this.#files.get(state.id);
    if (!known && hasEnded(state)) return;
    if (!known && this.#over) this.#begin();
    const size = state.size ?? state.total ?? 0;
    const sent = TRAVELLING.has(state.phase) ? Math.min(state.bytes ?? 0, size) : size;
    if (known) this.#count(known, -1);
    const file = { size, sent, ended: hasEnded(state) };
    this.#files.set(state.id, file);
    this.#count(file, 1);
    this.#meter.note(this.#sent, nowMs);
  }

  /**
   * `{done, total, sent, size, leftS}`, or null unless several files are under way; `leftS` is null while
   * the speed is not known, and once all bytes have gone.
   * @param {number} nowMs
   */
  summary(nowMs) {
    if (this.#files.size < 2 || this.#over) return null;
    const [sent, size, done] = [this.#sent, this.#size, this.#ended];
    const speed = this.#meter.speed(nowMs);
    const leftS = speed && sent < size ? (size - sent) / speed : null;
    return { done, total: this.#files.size, sent, size, leftS };
  }

  get #over() {
    return this.#ended === this.#files.size;
  }

  #begin() {
    this.#files.clear();
    this.#size = this.#sent = this.#ended = 0;
    this.#meter = new Meter();
  }

  /**
   * @param {{ size: number, sent: number, ended: boolean }} file
   * @param {1 | -1} times
   */
  #count({ size, sent, ended }, times) {
    this.#size += times * size;
    this.#sent += times * sent;
    this.#ended += times * Number(ended);
  }
}
