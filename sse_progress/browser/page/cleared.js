/** Uploads that a person has cleared from the page, by id; remembered in this browser. */

const KEY = "sse-progress:cleared";
const KEPT = 500;

/** @type {Set<string>} */
const cleared = new Set(read());

/** @param {string} id */
export function isCleared(id) {
  return cleared.has(id);
}

/** @param {string[]} ids */
export function clear(ids) {
  for (const id of ids) cleared.add(id);
  try {
    localStorage.setItem(KEY, JSON.stringify([...cleared].slice(-KEPT)));
  } catch {
    // no storage, or none left: they come back with the next reload
  }
}

/** @returns {string[]} */
function read() {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(stored) ? stored : [];
  } catch {
    return [];
  }
}
