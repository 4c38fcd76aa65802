/** One file's way out of the browser in one POST. Large ones go in parts, see resumable.js. */

import { transfer } from "./transfer.js";
import { ANSWER_WAIT_MS } from "../service/wire.js";

/**
 * @import { Params, Service } from "../service/service.js"
 *
 * @typedef {Record<string, string | number | boolean | (string | number | boolean)[]>} Fields
 * @typedef {{ status: number, body: any, retryAfterS: number | null }} Sent
 */

/** Milliseconds from the last byte sent until the upload's state is asked for instead of its answer. */
const ANSWER_MS = ANSWER_WAIT_MS + 40_000;

/**
 * POST `file` under `id`. `fields` are text fields (a list repeats the field); `labels` its kind, context
 * and batch.
 *
 * Resolves to `{status, body, retryAfterS}` with the answer, or to null if the request broke without
 * one; never rejects. `onBytes(loaded, total)` counts body bytes. `signal` abandons it.
 *
 * @param {Service} service
 * @param {{ id: string, file: Blob, filename: string, fields?: Fields, labels?: Params, signal: AbortSignal,
 *   onBytes: (loaded: number, total: number) => void }} options
 * @returns {Promise<Sent | null>}
 */
export function send(service, { id, file, filename, fields = {}, labels, onBytes, signal }) {
  return transfer(service, {
    method: "POST",
    path: "upload",
    params: labels,
    headers: { "X-Upload-ID": id, Prefer: "respond-async" },
    body: multipart(file, filename, fields),
    answerMs: ANSWER_MS,
    signal,
    onBytes,
  });
}

/**
 * What an upload is labelled with, as the query of the request that begins it.
 * @param {{ batch?: string, kind?: string, context?: Record<string, string> }} labels
 * @returns {Params}
 */
export function labelsOf({ batch, kind, context = {} }) {
  const entries = Object.entries(context).map(([key, value]) => [`context.${key}`, value]);
  return { batch, kind, ...Object.fromEntries(entries) };
}

/**
 * @param {Blob} file
 * @param {string} filename
 * @param {Fields} fields
 */
function multipart(file, filename, fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) form.append(name, String(one));
  }
  form.append("file", file, filename);
  return form;
}
