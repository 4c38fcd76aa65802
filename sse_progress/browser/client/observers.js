/** Any number of listeners; one that throws neither stops the others nor the one who notifies. */

export class Observers {
  #listeners = new Set();

  /** Add `listener`; the function that is returned, or `signal`, takes it away again. */
  add(listener, { signal } = {}) {
    const entry = { listener };
    const remove = () => this.#listeners.delete(entry);
    if (signal?.aborted) return remove;
    this.#listeners.add(entry);
    signal?.addEventListener("abort", remove, { once: true });
    return remove;
  }

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
