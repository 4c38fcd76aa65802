/**
 * Which uploads have an entry in the panel's list, in which order, for how long, and which wait for
 * one. What an entry looks like is its own matter.
 */

/**
 * @import { Upload, UploadState } from "../index.js"
 * @import { StageRow } from "../state/kinds.js"
 * @import { Texts } from "../text/texts.js"
 *
 * @typedef {object} Owner
 * @property {() => Texts} texts
 * @property {(state: UploadState) => readonly StageRow[]} stages
 * @property {() => number} clearAfterS seconds until an entry that ended well goes; 0: it stays
 * @property {() => void} added there is a new entry
 * @property {() => void} draw the list is another one now
 * @property {() => HTMLElement} refuge what gets the focus after the last entry
 */

import { Entry, TROUBLE } from "./entry.js";

/** How many entries there are at most: the others are counted, and come into the list as these end. */
const SHOWN = 50;

export class EntryList {
  #element;
  #owner;
  /** @type {Map<string, Entry>} by upload id */
  #entries = new Map();
  /** @type {Map<string, Upload>} what has no entry yet, by upload id */
  #waiting = new Map();

  /**
   * @param {HTMLElement} element
   * @param {Owner} owner
   */
  constructor(element, owner) {
    this.#element = element;
    this.#owner = owner;
  }

  get entries() {
    return [...this.#entries.values()];
  }

  /** How many wait for an entry. */
  get waiting() {
    return this.#waiting.size;
  }

  /** What has an entry, and what waits for one. */
  get uploads() {
    return [...this.entries.map(({ upload }) => upload), ...this.#waiting.values()];
  }

  /**
   * Something is new about an upload: its entry, or null if there is no room for one.
   * @param {Upload} upload
   */
  take(upload) {
    const known = this.#entries.get(upload.id);
    if (known && known.upload !== upload) this.#remove(known); // it is sent from here again
    if (!this.#entries.has(upload.id) && (upload.ended || this.#entries.size >= SHOWN)) {
      this.#wait(upload);
      return null;
    }
    const entry = this.#entries.get(upload.id) ?? this.#add(upload);
    if (upload.ended) {
      this.#place(entry);
      this.#clearLater(entry);
    }
    return entry;
  }

  /** Waiting uploads take the place of completed ones, unless the reader points at one of those. */
  admit() {
    /** @type {Entry[]} */
    const fresh = [];
    if (this.#waiting.size === 0) return fresh;
    for (const entry of this.entries) {
      const seen = entry.upload.ended && !entry.inTrouble && !isHeld(entry);
      if (seen && this.#entries.size + this.#waiting.size > SHOWN) this.#remove(entry);
    }
    for (const upload of this.#waiting.values()) {
      if (this.#entries.size >= SHOWN) break;
      this.#waiting.delete(upload.id);
      fresh.push(this.#add(upload));
    }
    return fresh;
  }

  /** Forget what has ended. */
  dismiss() {
    for (const entry of this.entries) if (entry.upload.ended) this.#remove(entry);
    for (const { id, ended } of [...this.#waiting.values()]) if (ended) this.#waiting.delete(id);
  }

  clear() {
    for (const entry of this.entries) stop(entry.clearing);
    this.#entries.clear();
    this.#waiting.clear();
    this.#element.replaceChildren();
  }

  /** @param {Upload} upload */
  #add(upload) {
    const entry = new Entry(upload, this.#owner.texts, {
      retry: (one) => this.#retry(one),
      cancel: (one) => this.#cancelOrDismiss(one),
      stages: this.#owner.stages,
    });
    this.#entries.set(upload.id, entry);
    this.#place(entry);
    this.#owner.added();
    return entry;
  }

  /**
   * No room yet: what has ended well meanwhile needs none.
   * @param {Upload} upload
   */
  #wait(upload) {
    if (!upload.ended) this.#waiting.set(upload.id, upload);
    else if (!TROUBLE.has(upload.state.phase)) this.#waiting.delete(upload.id);
  }

  /**
   * What runs stands above what has ended; the focused entry keeps its focus.
   * @param {Entry} entry
   */
  #place(entry) {
    const list = this.#element;
    const ended = this.entries.filter((other) => other !== entry && other.upload.ended);
    const before = [...list.children].find((item) => ended.some((other) => other.item === item)) ?? null;
    if (entry.item.parentNode === list && entry.item.nextSibling === before) return;
    const root = /** @type {Document | ShadowRoot} */ (list.getRootNode());
    const focused = /** @type {HTMLElement | null} */ (root.activeElement);
    list.insertBefore(entry.item, before);
    if (focused && entry.item.contains(focused)) focused.focus();
  }

  /** @param {Entry} entry */
  #retry(entry) {
    const upload = entry.upload.retry();
    const fresh = this.#entries.get(upload.id) ?? this.#add(upload);
    this.#remove(entry);
    this.#owner.draw();
    fresh.parts.cancel.focus();
  }

  /** @param {Entry} entry */
  #cancelOrDismiss(entry) {
    if (!entry.upload.ended) {
      if (!entry.upload.state.cancelling) entry.upload.cancel().catch(() => {}); // the entry shows that it goes on
      return;
    }
    const neighbour = entry.item.nextElementSibling ?? entry.item.previousElementSibling;
    this.#remove(entry);
    this.#owner.draw();
    const next = /** @type {HTMLElement | null | undefined} */ (neighbour?.querySelector(".cancel"));
    (next ?? this.#owner.refuge()).focus();
  }

  /** @param {Entry} entry */
  #remove(entry) {
    stop(entry.clearing);
    entry.item.remove();
    this.#entries.delete(entry.upload.id);
  }

  /** @param {Entry} entry */
  #clearLater(entry) {
    const seconds = this.#owner.clearAfterS();
    if (entry.clearing || !(seconds > 0) || entry.inTrouble) return;
    entry.clearing = setTimeout(() => {
      entry.clearing = null;
      if (isHeld(entry)) return this.#clearLater(entry);
      this.#remove(entry);
      this.#owner.draw();
    }, seconds * 1000);
  }
}

/**
 * Whether the pointer or the focus is in it.
 * @param {Entry} entry
 */
function isHeld(entry) {
  return entry.item.matches(":hover, :focus-within");
}

/** @param {ReturnType<typeof setTimeout> | null} timer */
function stop(timer) {
  clearTimeout(timer ?? undefined);
}
