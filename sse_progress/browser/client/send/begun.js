/**
 * Which uploads this browser has begun and not ended, by a fingerprint of their file: the same file
 * chosen again after a reload goes on where it was. Never the file itself. Nothing breaks where
 * storage is forbidden.
 */

const KEY = "sse-progress:begun";
const KEEP = 50;
/** A little less than the service keeps a paused upload, where it is not set otherwise. */
const KEEP_MS = 23 * 3600 * 1000;

/** @typedef {{ id: string, at: number }} Begun */

/**
 * @param {string} root of the service
 * @param {Blob} file
 */
function fingerprint(root, file) {
  const { name = "", lastModified = 0 } = /** @type {Partial<File>} */ (file);
  return [root, name, file.size, file.type, lastModified].join("|");
}

/**
 * @param {string} root
 * @param {Blob} file
 * @param {string} id
 */
export function rememberBegun(root, file, id) {
  keep({ ...all(), [fingerprint(root, file)]: { id, at: Date.now() } });
}

/**
 * The id under which this file was begun, or null.
 * @param {string} root
 * @param {Blob} file
 */
export function recallBegun(root, file) {
  const found = all()[fingerprint(root, file)];
  return typeof found?.id === "string" && Date.now() - found.at < KEEP_MS ? found.id : null;
}

/** @param {string} id */
export function isBegun(id) {
  return Object.values(all()).some((one) => one.id === id && Date.now() - one.at < KEEP_MS);
}

/** @param {string} id */
export function forgetBegun(id) {
  const begun = all();
  const left = Object.entries(begun).filter(([, one]) => one.id !== id);
  if (left.length < Object.keys(begun).length) keep(Object.fromEntries(left));
}

/** @param {Record<string, Begun>} begun */
function keep(begun) {
  const young = Object.entries(begun)
    .filter(([, { at }]) => Date.now() - at < KEEP_MS)
    .sort(([, a], [, b]) => b.at - a.at)
    .slice(0, KEEP);
  try {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(young)));
  } catch {
    // private mode, or a full quota: then the file is sent from its beginning
  }
}

/** @returns {Record<string, Begun>} */
function all() {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return stored && typeof stored === "object" ? stored : {};
  } catch {
    return {};
  }
}
