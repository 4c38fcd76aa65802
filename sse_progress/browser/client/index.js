/**
 * Browser client of sse_progress: send files, and see the truth about each of them until its end.
 *
 *     import { upload } from "sse-progress-client";
 *
 *     const media = await upload(file, { url: "/api/media", onEvent: ({ state }) => show(state) }).done;
 */

/**
 * @import { FollowOptions, UploadOptions } from "./uploads/client.js"
 * @import { ProgressEvent } from "./index.js"
 * @import { ServiceOptions } from "./service/service.js"
 * @import { Upload } from "./uploads/upload.js"
 */

import { Client } from "./uploads/client.js";
import { rootOf } from "./service/service.js";

export { Batch } from "./uploads/batch.js";
export { Client } from "./uploads/client.js";
export { Decoder } from "./follow/decoder.js";
export { UploadError } from "./service/errors.js";
export { newUploadId } from "./service/ids.js";
export { askToNotify, notifyOf } from "./uploads/notify.js";
export { hasEnded, phaseOfError } from "./state/phases.js";
export { STAGES } from "./state/stages.js";
export { Upload } from "./uploads/upload.js";

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
