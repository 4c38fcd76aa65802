/**
 * What this browser remembers under one key of its storage: the latest records, for a time. Where
 * storage is forbidden (private mode) or full nothing is remembered, and nothing breaks.
 */

/** @template {{ at: number }} R `at`: when it was made, ms since the epoch */
export class Remembered {
  #key;
  #most;
  #ms;

  /**
   * @param {string} key
   * @param {{ most: number, ms: number }} limits how many records are kept, and for how long
   */
  constructor(key, { most, ms }) {
    this.#key = key;
    this.#most = most;
    this.#ms = ms;
  }

  /**
   * All that are stored, by name; some may be too old, or made by another script.
   * @returns {Record<string, R>}
   */
  all() {
    try {
      const stored = JSON.parse(localStorage.getItem(this.#key) ?? "{}");
      return stored && typeof stored === "object" ? stored : {};
    } catch {
      return {};
    }
  }

  /** @param {[string, R][]} records by name: instead of all that are stored */
  keep(records) {
    const young = records
      .filter(([, { at }]) => Date.now() - at < this.#ms)
      .sort(([, a], [, b]) => b.at - a.at)
      .slice(0, this.#most);
    try {
      localStorage.setItem(this.#key, JSON.stringify(Object.fromEntries(young)));
    } catch {
      // not remembered
    }
  }
}
