/**
 * Which uploads this browser has begun and not ended, by a fingerprint of their file: the same file
 * chosen again after a reload goes on where it was. Never the file itself.
 */

import { Remembered } from "../service/remembered.js";

/** A little less than the service keeps a paused upload, where it is not set otherwise. */
const KEEP_MS = 23 * 3600 * 1000;

/** @type {Remembered<{ id: string, at: number }>} by fingerprint */
const begun = new Remembered("sse-progress:begun", { most: 50, ms: KEEP_MS });

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
  begun.keep(Object.entries({ ...begun.all(), [fingerprint(root, file)]: { id, at: Date.now() } }));
}

/**
 * The id under which this file was begun, or null.
 * @param {string} root
 * @param {Blob} file
 */
export function recallBegun(root, file) {
  const found = begun.all()[fingerprint(root, file)];
  return typeof found?.id === "string" && Date.now() - found.at < KEEP_MS ? found.id : null;
}

/** @param {string} id */
export function isBegun(id) {
  return Object.values(begun.all()).some((one) => one.id === id && Date.now() - one.at < KEEP_MS);
}

/** @param {string} id */
export function forgetBegun(id) {
  const records = Object.entries(begun.all());
  const left = records.filter(([, one]) => one.id !== id);
  if (left.length < records.length) begun.keep(left);
}
