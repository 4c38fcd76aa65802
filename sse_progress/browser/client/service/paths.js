/** Paths of the service, relative to its root. */

/**
 * Path of one upload's resource.
 * @param {string} id
 */
export function uploadPath(id, rest = "") {
  return `upload/${encodeURIComponent(id)}${rest}`;
}

/**
 * The upload that a path of uploadPath is of; null for any other path.
 * @param {string} path
 */
export function uploadOf(path) {
  const id = /^upload\/([^/]+)/.exec(path)?.[1];
  return id === undefined ? null : decodeURIComponent(id);
}
