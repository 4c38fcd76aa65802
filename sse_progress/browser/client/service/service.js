/**
 * The service's address and the caller's credentials: every request but the streams and the body
 * goes through here.
 */

import { UploadError } from "./errors.js";
import { Transports } from "../follow/transports.js";

/**
 * @import { Transport } from "../index.js"
 *
 * @typedef {string | (() => string | null | Promise<string | null>) | null | undefined} Token
 * @typedef {{ url?: string, token?: Token, credentials?: RequestCredentials, caller?: string,
 *   transport?: Transport }} ServiceOptions
 * @typedef {Record<string, string | number | null | undefined>} Params
 * @typedef {{ params?: Params, headers?: Record<string, string>, json?: object, signal?: AbortSignal, timeoutMs?: number }} RequestOptions
 * @typedef {{ status: number, body: any, etag?: string | null }} Answer
 */

const TIMEOUT_MS = 15_000;

export class Service {
  /**
   * `url` is the service's root, with its prefix, absolute or relative to the document. `token` is
   * a string, or a function (may be async) that is asked before every request and attempt. `caller`
   * names the user where a cookie does it, so that tabs of two users are not taken for one's.
   * `transport`: how events come; throws UploadError `unsupported` for `ws` where there is none.
   * @param {ServiceOptions} [options]
   */
  constructor({ url, token = null, credentials = "same-origin", caller = "", transport } = {}) {
    this.root = rootOf(url);
    /** @type {Token} */
    this.token = token;
    /** @type {RequestCredentials} */
    this.credentials = credentials;
    this.caller = caller;
    this.transports = new Transports(transport);
  }

  get hasToken() {
    return this.token !== null && this.token !== undefined && this.token !== "";
  }

  /**
   * The absolute address of `path` (relative to the root), with `params` as its query.
   * @param {string} path
   * @param {Params} [params]
   */
  address(path, params = {}) {
    const address = new URL(path, this.root);
    for (const [name, value] of Object.entries(params)) {
      if (value !== null && value !== undefined && value !== "")
        address.searchParams.set(name, String(value));
    }
    return address.href;
  }

  /** The token of this moment, or null. */
  async bearer() {
    return (typeof this.token === "function" ? await this.token() : this.token) || null;
  }

  /**
   * Request headers with the credentials of this moment.
   * @param {Record<string, string>} [more]
   * @returns {Promise<Record<string, string>>}
   */
  async headers(more = {}) {
    const token = await this.bearer();
    return token ? { ...more, Authorization: `Bearer ${token}` } : more;
  }

  /**
   * One small request; `json` is its body. Resolves to `{status, body, etag}`, whatever the status; `body` is null
   * where the answer is not JSON. Rejects with `network` if there is no answer within `timeoutMs`.
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<Answer>}
   */
  async request(method, path, { params, headers = {}, json, signal, timeoutMs = TIMEOUT_MS } = {}) {
    /** @type {Record<string, string>} */
    const typed = json ? { "Content-Type": "application/json" } : {};
    const abort = new AbortController();
    const stop = () => abort.abort();
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
    const timer = setTimeout(stop, timeoutMs);
    try {
      const response = await fetch(this.address(path, params), {
        method,
        headers: await this.headers({ Accept: "application/json", ...typed, ...headers }),
        body: json && JSON.stringify(json),
        credentials: this.credentials,
        cache: "no-store",
        signal: abort.signal,
      });
      const body = await parse(response);
      return { status: response.status, body, etag: response.headers.get("ETag") };
    } catch {
      throw new UploadError({ code: "network", detail: "The service could not be reached." });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }
}

/**
 * A service's root as one absolute address, ending in a slash, however it was written. Without `url`
 * it is the service that this module was loaded from, or else the document's directory.
 */
export function rootOf(url = home() ?? ".") {
  const root = new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href);
  root.search = root.hash = "";
  if (!root.pathname.endsWith("/")) root.pathname += "/";
  return root.href;
}

/** The root that serves this file as `…/client/service/service.js`; null if it is bundled or installed. */
function home() {
  const here = new URL(import.meta.url);
  const served = /^https?:$/.test(here.protocol) && !here.pathname.includes("/node_modules/");
  return served && here.pathname.endsWith("/client/service/service.js") ? new URL("../..", here).href : null;
}

/** @param {Response} response */
async function parse(response) {
  const text = await response.text();
  return parseJson(response.headers.get("Content-Type"), text);
}

/**
 * The object that `text` holds if it claims to be JSON and is, else null.
 * @param {string | null} contentType
 * @param {string} text
 * @returns {any}
 */
export function parseJson(contentType, text) {
  if (!/[/+]json\b/.test(contentType ?? "")) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
