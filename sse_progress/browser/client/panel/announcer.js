/**
 * A live region that does not chatter: it speaks of the latest change of each upload, all together,
 * at most once in a few seconds.
 */

const PAUSE_MS = 5_000;
const TOGETHER = 2;

/** @typedef {ReturnType<typeof setTimeout> | null} Timer */

export class Announcer {
  #region;
  #summary;
  /** @type {Map<string, string>} */
  #pending = new Map();
  /** @type {Timer} */
  #timer = null;
  #spokeAt = -PAUSE_MS;

  /**
   * `summary()` is said in place of more than two sentences at once.
   * @param {Element} region
   * @param {() => string} summary
   */
  constructor(region, summary) {
    this.#region = region;
    this.#summary = summary;
  }

  /**
   * Say `sentence` about `id` soon; a later one about the same id takes its place.
   * @param {string} id
   * @param {string} sentence
   */
  say(id, sentence) {
    this.#pending.set(id, sentence);
    this.#timer ??= setTimeout(
      () => this.#flush(),
      Math.max(300, this.#spokeAt + PAUSE_MS - performance.now()),
    );
  }

  stop() {
    clearTimeout(this.#timer ?? undefined);
    this.#timer = null;
    this.#pending.clear();
  }

  #flush() {
    this.#timer = null;
    this.#spokeAt = performance.now();
    const sentences = [...this.#pending.values()];
    this.#pending.clear();
    this.#region.textContent = sentences.length > TOGETHER ? this.#summary() : sentences.join(" ");
  }
}
