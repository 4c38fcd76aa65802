/**
 * File names of uploads that are not over, kept in this browser: events do not carry them, so after
 * a reload, and in another tab, this is where a name comes from. Nothing breaks where storage is
 * forbidden. All that are remembered in one turn, however many files are chosen at once, are written
 * together.
 */

const KEY = "sse-progress:names";
const KEEP = 200;
const KEEP_MS = 24 * 3600 * 1000;

/** @typedef {{ filename: string, size: number | null, at: number }} Known */

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
  const known = fresh.get(id) ?? all()[id];
  return typeof known?.filename === "string" ? { filename: known.filename, size: known.size ?? null } : null;
}

function write() {
  const young = [...Object.entries(all()), ...fresh]
    .filter(([, { at }]) => Date.now() - at < KEEP_MS)
    .sort(([, a], [, b]) => b.at - a.at)
    .slice(0, KEEP);
  fresh.clear();
  try {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(young)));
  } catch {
    // private mode, or a full quota: names are a comfort
  }
}

/** @returns {Record<string, Known>} */
function all() {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return stored && typeof stored === "object" ? stored : {};
  } catch {
    return {};
  }
}
