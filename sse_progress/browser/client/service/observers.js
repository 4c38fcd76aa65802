/**
 * Any number of listeners; one that throws neither stops the others nor the one who notifies.
 * @template {any[]} Values
 */
export class Observers {
  /** @type {Set<{ listener: (...values: Values) => void }>} */
  #listeners = new Set();

  /**
   * Add `listener`; the function that is returned, or `signal`, takes it away again.
   * @param {(...values: Values) => void} listener
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {() => void}
   */
  add(listener, { signal } = {}) {
    const entry = { listener };
    const remove = () => void this.#listeners.delete(entry);
    if (signal?.aborted) return remove;
    this.#listeners.add(entry);
    signal?.addEventListener("abort", remove, { once: true });
    return remove;
  }

  /** @param {Values} values */
  notify(...values) {
    for (const { listener } of [...this.#listeners]) {
      try {
        listener(...values);
      } catch (error) {
        reportError(error);
      }
    }
  }
}
