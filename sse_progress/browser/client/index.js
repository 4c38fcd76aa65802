/**
 * Browser client of sse_progress: send files, and see the truth about each of them until its end.
 *
 *     import { upload } from "sse-progress-client";
 *
 *     const media = await upload(file, { url: "/api/media", onEvent: ({ state }) => show(state) }).done;
 */

import { Client } from "./client.js";
import { rootOf } from "./service.js";

export { Client } from "./client.js";
export { Decoder } from "./decoder.js";
export { UploadError } from "./errors.js";
export { newUploadId } from "./ids.js";
export { STAGES, hasEnded, phaseOfError } from "./state.js";
export { Upload } from "./upload.js";

const clients = new Map();

/**
 * The one client for this service, so that everybody on the page shares its stream. A `token` that is
 * given replaces an older one. For two callers at once, make Clients of your own.
 */
export function clientFor({ url, token, credentials } = {}) {
  const key = `${credentials} ${rootOf(url)}`;
  if (!clients.has(key)) clients.set(key, new Client({ url, token, credentials }));
  const client = clients.get(key);
  if (token !== undefined) client.token = token;
  return client;
}

/** Send `file`; see Client.upload, and Client for `url`, `token` and `credentials`. */
export function upload(file, { url, token, credentials, ...options } = {}) {
  return clientFor({ url, token, credentials }).upload(file, options);
}

/** Follow the upload `id`; see Client.follow. */
export function follow(id, { url, token, credentials, ...options } = {}) {
  return clientFor({ url, token, credentials }).follow(id, options);
}

/** `listener(upload, event)` for every upload of the shared client for this service. */
export function observe(listener, { url, token, credentials, signal } = {}) {
  return clientFor({ url, token, credentials }).observe(listener, { signal });
}
