/**
 * A live region that does not chatter: it speaks of the latest change of each upload, all together,
 * at most once in a few seconds.
 */

const PAUSE_MS = 5_000;
const TOGETHER = 2;

export class Announcer {
  #region;
  #summary;
  #pending = new Map();
  #timer = null;
  #spokeAt = -PAUSE_MS;

  /** `summary()` is said in place of more than two sentences at once. */
  constructor(region, summary) {
    this.#region = region;
    this.#summary = summary;
  }

  /** Say `sentence` about `id` soon; a later one about the same id takes its place. */
  say(id, sentence) {
    this.#pending.set(id, sentence);
    this.#timer ??= setTimeout(
      () => this.#flush(),
      Math.max(300, this.#spokeAt + PAUSE_MS - performance.now()),
    );
  }

  stop() {
    clearTimeout(this.#timer);
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
