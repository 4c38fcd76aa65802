/**
 * Browser client of sse_progress: send files, and see the truth about each of them until its end.
 *
 *     import { upload } from "sse-progress-client";
 *
 *     const media = await upload(file, { url: "/api/media", onEvent: ({ state }) => show(state) }).done;
 */

import { Client } from "./client.js";

export { Client } from "./client.js";
export { Decoder } from "./decoder.js";
export { UploadError } from "./errors.js";
export { newUploadId } from "./ids.js";
export { STAGES, hasEnded, phaseOfError } from "./state.js";
export { Upload } from "./upload.js";

const clients = new Map();

/** The one client for this service and these credentials, so that everybody shares its stream. */
export function clientFor({ url = ".", token = null, credentials } = {}) {
  const root = new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href;
  if (!clients.has(root)) clients.set(root, new Map());
  const byToken = clients.get(root);
  if (!byToken.has(token)) byToken.set(token, new Client({ url, token, credentials }));
  return byToken.get(token);
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
