/** Speed from byte counts: over the last seconds, so that it follows the line but does not jump. */

const WINDOW_MS = 5_000;

export class Meter {
  /** @type {{ bytes: number, at: number }[]} */
  #samples = [];

  /**
   * Note that `bytes` had gone at `nowMs`. A lower count is that of another counter: it starts over.
   * @param {number} bytes
   * @param {number} nowMs
   */
  note(bytes, nowMs) {
    const last = this.#samples.at(-1);
    if (last?.bytes === bytes) return;
    if (last && bytes < last.bytes) this.#samples = [];
    this.#samples.push({ bytes, at: nowMs });
    while (this.#samples.length > 2 && this.#samples[0].at < nowMs - WINDOW_MS) this.#samples.shift();
  }

  /**
   * Bytes per second at `nowMs`; null without a basis. A line that stands still slows down to 0.
   * @param {number} nowMs
   */
  speed(nowMs) {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || nowMs - first.at < 500) return null;
    return ((last.bytes - first.bytes) * 1000) / (nowMs - first.at);
  }
}
