/**
 * Browser client of sse_progress: send files, and see the truth about each of them until its end.
 *
 *     import { upload } from "sse-progress-client";
 *
 *     const media = await upload(file, { url: "/api/media", onEvent: ({ state }) => show(state) }).done;
 */

/**
 * @import { FollowOptions, UploadOptions } from "./client.js"
 * @import { ProgressEvent } from "./index.js"
 * @import { ServiceOptions } from "./service.js"
 * @import { Upload } from "./upload.js"
 */

import { Client } from "./client.js";
import { rootOf } from "./service.js";

export { Batch } from "./batch.js";
export { Client } from "./client.js";
export { Decoder } from "./decoder.js";
export { UploadError } from "./errors.js";
export { newUploadId } from "./ids.js";
export { askToNotify, notifyOf } from "./notify.js";
export { hasEnded, phaseOfError } from "./phases.js";
export { STAGES } from "./stages.js";
export { Upload } from "./upload.js";

/** @type {Map<string, Client>} */
const clients = new Map();

/**
 * The one client for this service, so that everybody on the page shares its stream. A `token` that is
 * given replaces an older one. For two callers at once, make Clients of your own.
 * @param {ServiceOptions} [options]
 * @returns {Client}
 */
export function clientFor({ url, token, credentials, caller, transport } = {}) {
  const key = `${credentials} ${caller} ${transport} ${rootOf(url)}`;
  const client = clients.get(key) ?? new Client({ url, token, credentials, caller, transport });
  clients.set(key, client);
  if (token !== undefined) client.token = token;
  return client;
}

/**
 * Send `file`; see Client.upload, and Client for `url`, `token` and `credentials`.
 * @param {Blob} file
 * @param {UploadOptions & ServiceOptions} [options]
 */
export function upload(file, { url, token, credentials, caller, transport, ...options } = {}) {
  return clientFor({ url, token, credentials, caller, transport }).upload(file, options);
}

/**
 * Follow the upload `id`; see Client.follow.
 * @param {string} id
 * @param {FollowOptions & ServiceOptions} [options]
 */
export function follow(id, { url, token, credentials, caller, transport, ...options } = {}) {
  return clientFor({ url, token, credentials, caller, transport }).follow(id, options);
}

/**
 * `listener(upload, event)` for every upload of the shared client for this service.
 * @param {(upload: Upload, event: ProgressEvent | null) => void} listener
 * @param {ServiceOptions & { signal?: AbortSignal }} [options]
 */
export function observe(listener, { url, token, credentials, caller, transport, signal } = {}) {
  return clientFor({ url, token, credentials, caller, transport }).observe(listener, { signal });
}
