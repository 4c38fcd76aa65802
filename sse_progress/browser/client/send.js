/**
 * One file's way out of the browser: a POST by XMLHttpRequest, the only API that counts the bytes of
 * a body as they leave.
 */

import { parseJson } from "./service.js";
import { ANSWER_WAIT_MS } from "./wire.js";

/**
 * @import { Service } from "./service.js"
 *
 * @typedef {Record<string, string | number | boolean | (string | number | boolean)[]>} Fields
 * @typedef {{ status: number, body: any, retryAfterS: number | null }} Sent
 */

/** Milliseconds from the last byte sent until the upload's state is asked for instead of its answer. */
const ANSWER_MS = ANSWER_WAIT_MS + 40_000;

/**
 * POST `file` under `id`. `fields` are text fields (a list repeats the field).
 *
 * Resolves to `{status, body, retryAfterS}` with the answer, or to null if the request broke without
 * one; never rejects. `onBytes(loaded, total)` counts body bytes. `signal` abandons it.
 *
 * @param {Service} service
 * @param {{ id: string, file: Blob, filename: string, fields?: Fields, signal: AbortSignal,
 *   onBytes: (loaded: number, total: number) => void }} options
 * @returns {Promise<Sent | null>}
 */
export async function send(service, { id, file, filename, fields = {}, onBytes, signal }) {
  const headers = await service
    .headers({ "X-Upload-ID": id, Prefer: "respond-async", Accept: "application/json" })
    .catch(() => null);
  if (!headers || signal.aborted) return null;
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    /** @param {Sent | null} answer */
    const end = (answer) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      resolve(answer);
    };
    const stop = () => request.abort();
    signal.addEventListener("abort", stop, { once: true });

    request.open("POST", service.address("upload"));
    request.withCredentials = service.credentials === "include";
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => onBytes(loaded, total);
    request.upload.onload = ({ loaded, total }) => {
      onBytes(loaded, total);
      timer = setTimeout(stop, ANSWER_MS);
    };
    request.onload = () => end(answerOf(request));
    request.onerror = request.onabort = request.ontimeout = () => end(null);
    request.send(multipart(file, filename, fields));
  });
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

/**
 * @param {XMLHttpRequest} request
 * @returns {Sent}
 */
function answerOf(request) {
  const seconds = Number.parseInt(request.getResponseHeader("Retry-After") ?? "", 10);
  return {
    status: request.status,
    body: parseJson(request.getResponseHeader("Content-Type"), request.responseText),
    retryAfterS: Number.isFinite(seconds) ? seconds : null,
  };
}
