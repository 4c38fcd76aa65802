/**
 * One request that carries a body, or whose headers are needed. XMLHttpRequest where there is one,
 * since it alone counts the bytes of a body as they leave; else fetch, as in Node, Deno and workers.
 */

import { parseJson } from "../service/service.js";

/**
 * @import { Params, Service } from "../service/service.js"
 *
 * @typedef {{ status: number, body: any, retryAfterS: number | null, header: (name: string) => string | null }} Transferred
 * @typedef {{ method: string, path: string, params?: Params, headers: Record<string, string>, body?: Blob | FormData | null,
 *   signal: AbortSignal, answerMs: number, stallMs?: number,
 *   onBytes?: (loaded: number, total: number) => void }} Transfer
 */

/**
 * Resolves to the answer, or to null if there was none: the network broke, `signal` ended it, nothing
 * moved for `stallMs`, or the answer did not come within `answerMs` of the last byte. Never rejects.
 * @param {Service} service
 * @param {Transfer} request
 * @returns {Promise<Transferred | null>}
 */
export async function transfer(service, request) {
  const headers = await service.headers({ Accept: "application/json", ...request.headers }).catch(() => null);
  if (!headers || request.signal.aborted) return null;
  const how = { ...request, headers };
  return globalThis.XMLHttpRequest ? byXhr(service, how) : byFetch(service, how);
}

/**
 * @param {Service} service
 * @param {Transfer} request
 * @returns {Promise<Transferred | null>}
 */
function byXhr(service, { method, path, params, headers, body = null, signal, answerMs, stallMs, onBytes }) {
  return new Promise((resolve) => {
    const xhr = new XMLHttpRequest();
    const stop = () => xhr.abort();
    const timer = alarm(stop);
    /** @param {Transferred | null} answer */
    const end = (answer) => {
      timer.clear();
      signal.removeEventListener("abort", stop);
      resolve(answer);
    };
    signal.addEventListener("abort", stop, { once: true });
    xhr.open(method, service.address(path, params));
    xhr.withCredentials = service.credentials === "include";
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = ({ loaded, total }) => {
      timer.set(stallMs);
      onBytes?.(loaded, total);
    };
    xhr.upload.onload = ({ loaded, total }) => {
      onBytes?.(loaded, total);
      timer.set(answerMs);
    };
    xhr.onload = () => end(answerOf(xhr.status, xhr.responseText, (name) => xhr.getResponseHeader(name)));
    xhr.onerror = xhr.onabort = xhr.ontimeout = () => end(null);
    timer.set(body ? stallMs : answerMs);
    xhr.send(body);
  });
}

/**
 * @param {Service} service
 * @param {Transfer} request
 * @returns {Promise<Transferred | null>}
 */
async function byFetch(service, { method, path, params, headers, body = null, signal, answerMs, onBytes }) {
  const abort = new AbortController();
  const stop = () => abort.abort();
  signal.addEventListener("abort", stop, { once: true });
  const timer = alarm(stop);
  if (!body) timer.set(answerMs); // how far a body is, fetch does not tell
  try {
    const response = await fetch(service.address(path, params), {
      method,
      headers,
      body,
      credentials: service.credentials,
      cache: "no-store",
      signal: abort.signal,
    });
    if (body instanceof Blob && response.ok) onBytes?.(body.size, body.size);
    return answerOf(response.status, await response.text(), (name) => response.headers.get(name));
  } catch {
    return null;
  } finally {
    timer.clear();
    signal.removeEventListener("abort", stop);
  }
}

/** @param {() => void} ring */
function alarm(ring) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const clear = () => clearTimeout(timer);
  /** @param {number} [ms] */
  const set = (ms) => {
    clear();
    if (ms !== undefined) timer = setTimeout(ring, ms);
  };
  return { set, clear };
}

/**
 * @param {number} status
 * @param {string} text
 * @param {(name: string) => string | null} header
 * @returns {Transferred}
 */
function answerOf(status, text, header) {
  const seconds = Number.parseInt(header("Retry-After") ?? "", 10);
  return {
    status,
    body: parseJson(header("Content-Type"), text),
    retryAfterS: Number.isFinite(seconds) ? seconds : null,
    header,
  };
}
