/**
 * Which cards are in sight: those whose name is. The panel lists the same uploads, so the page needs it
 * only while one of them is out of sight.
 */

/** @import { Card } from "./card.js" */

export class Sight {
  /** @type {Set<Element>} */
  #names = new Set();
  #observer;

  /**
   * `changed()` is called whenever a card has come into sight, or left it.
   * @param {() => void} changed
   */
  constructor(changed) {
    this.#observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) this.#names.add(target);
        else this.#names.delete(target);
      }
      changed();
    });
  }

  /** @param {Card} card */
  watch({ parts }) {
    this.#observer.observe(parts.name);
  }

  /** @param {Card} card */
  leave({ parts }) {
    this.#observer.unobserve(parts.name);
    this.#names.delete(parts.name);
  }

  /** @param {Card} card */
  has({ parts }) {
    return this.#names.has(parts.name);
  }
}
