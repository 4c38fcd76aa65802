/**
 * File names of uploads that are not over, kept in this browser: events do not carry them, so after
 * a reload, and in another tab, this is where a name comes from. All that are remembered in one turn,
 * however many files are chosen at once, are written together.
 */

import { Remembered } from "../service/remembered.js";

/** @typedef {{ filename: string, size: number | null, at: number }} Known */

/** @type {Remembered<Known>} by upload id */
const names = new Remembered("sse-progress:names", { most: 200, ms: 24 * 3600 * 1000 });

/** @type {Map<string, Known>} what is not written yet, by upload id */
const fresh = new Map();

/**
 * @param {string} id
 * @param {{ filename: string, size: number | null }} known
 */
export function rememberName(id, { filename, size }) {
  if (fresh.size === 0) queueMicrotask(write);
  fresh.set(id, { filename, size, at: Date.now() });
}

/**
 * `{filename, size}` if this browser sent the upload, else null.
 * @param {string} id
 */
export function recallName(id) {
  const known = fresh.get(id) ?? names.all()[id];
  return typeof known?.filename === "string" ? { filename: known.filename, size: known.size ?? null } : null;
}

function write() {
  names.keep([...Object.entries(names.all()), ...fresh]);
  fresh.clear();
}
