/**
 * A large file's way out of the browser: requests of some MiB each (tus 1.0), so that a cut, a sleep
 * or a restart of the service costs a part and not the upload.
 */

import { uploadPath } from "../service/paths.js";
import { transfer } from "./transfer.js";

/**
 * @import { Fields, Sent } from "./send.js"
 * @import { Params, Service } from "../service/service.js"
 * @import { Transferred } from "./transfer.js"
 *
 * @typedef {"create" | "look" | "append"} Asked
 * @typedef {{ id: string, file: Blob, filename: string, fields?: Fields, labels?: Params, signal: AbortSignal, turn: Turn,
 *   known?: boolean, onBytes: (loaded: number, total: number) => void,
 *   onWaiting: (on: boolean) => void }} Parcel
 */

/** Bytes of a file from which on it is sent in parts. */
export const LARGE_BYTES = 8 * 1024 ** 2;
const PART_BYTES = 8 * 1024 ** 2;
/** Milliseconds without a byte after which a connection is taken for dead. */
const STALL_MS = 30_000;
/** The service syncs a part to its disk, and may read the whole again after the last. */
const ANSWER_MS = 120_000;

/** Whether its sender lets an upload go on; pause() also ends the request that is under way. */
export class Turn {
  paused = false;
  #abort = new AbortController();
  #woken = () => {};

  /** Ends the request of this moment. */
  get signal() {
    return this.#abort.signal;
  }

  pause() {
    this.paused = true;
    this.#abort.abort();
  }

  resume() {
    if (!this.paused) return;
    this.paused = false;
    this.#abort = new AbortController();
    this.#woken();
  }

  /**
   * Wait for `ms`, or until it is resumed, the network is back, or `signal` ends it.
   * @param {number} ms
   * @param {AbortSignal} signal
   * @returns {Promise<void>}
   */
  wait(ms, signal) {
    return new Promise((resolve) => {
      const timer = Number.isFinite(ms) ? setTimeout(() => wake(), ms) : undefined;
      const wake = () => {
        clearTimeout(timer);
        globalThis.removeEventListener?.("online", wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#woken = wake;
      globalThis.addEventListener?.("online", wake);
      signal.addEventListener("abort", wake, { once: true });
      if (signal.aborted) wake();
    });
  }
}

/**
 * Whether these can be sent in parts: tus names each field once.
 * @param {Fields} fields
 */
export function fitForParts(fields) {
  return Object.values(fields).every((value) => !Array.isArray(value));
}

/**
 * Send `file` under `id` in parts. `known`: it was begun before, by this page or by an earlier one.
 *
 * Resolves as `send` does, with 202 once the last byte is there; while the network is away it tries
 * again for as long as it takes, and says so by `onWaiting`.
 *
 * @param {Service} service
 * @param {Parcel} parcel
 * @returns {Promise<Sent | null>}
 */
export async function sendInParts(service, parcel) {
  const { file, signal, turn, onBytes, onWaiting } = parcel;
  const path = uploadPath(parcel.id);
  let known = parcel.known ?? false;
  /** @type {number | null} */
  let offset = null;
  let failures = 0;
  while (!signal.aborted) {
    if (turn.paused) {
      offset = null;
      await turn.wait(Number.POSITIVE_INFINITY, signal);
      continue;
    }
    /** @type {number | null} */
    const from = offset;
    /** @type {Asked} */
    const asked = !known ? "create" : from === null ? "look" : "append";
    /** @type {Transferred | null} */
    const answer = await REQUESTS[asked](service, parcel, path, from ?? 0);
    if (signal.aborted) return null;
    if (turn.paused) continue;
    const next = judge(asked, answer);
    if (next === "end") return answer;
    if (next === "lost") return null;
    if (next === "again") {
      offset = null;
      failures += 1;
      onWaiting(true);
      await turn.wait(1000 * (answer?.retryAfterS ?? 0) || retryMs(failures, Math.random()), signal);
      continue;
    }
    known = next !== "create";
    if (next !== "go") {
      offset = null;
      continue;
    }
    onWaiting(false);
    /** @type {number} */
    const reached = Number(answer?.header("Upload-Offset"));
    if (asked === "append" && reached > (from ?? 0)) failures = 0;
    offset = reached;
    onBytes(reached, file.size);
    if (reached === file.size) return { status: 202, body: null, retryAfterS: null };
  }
  return null;
}

/**
 * Half a second doubling to 30, of which the second half is left to chance.
 * @param {number} failures in a row, from 1 on
 * @param {number} random in [0, 1)
 */
export function retryMs(failures, random) {
  return Math.round(Math.min(30_000, 500 * 2 ** (failures - 1)) * (0.5 + random / 2));
}

/**
 * What to do after an answer: `go` on from its offset, `look` for the offset, `create` what the service
 * does not know any more, try `again` later, give up as the answer says (`end`), or without a word,
 * since another client sends it now (`lost`).
 * @param {Asked} asked
 * @param {Transferred | null} answer
 */
function judge(asked, answer) {
  if (!answer) return "again";
  const { status, body } = answer;
  if (status >= 200 && status < 300) {
    return Number.isInteger(Number.parseInt(answer.header("Upload-Offset") ?? "", 10)) ? "go" : "end";
  }
  if (status === 404 && asked === "look") return "create";
  if (body?.code === "replaced" && asked === "append") return "lost";
  if (status === 409 && asked === "append") return body?.code === "cancelled" ? "end" : "look";
  if (status === 409 && asked === "look") return "again";
  if (status === 409 && body?.upload?.status === "receiving") return "look"; // its answer was lost
  if (status === 429) return asked === "create" ? "end" : "again";
  return status >= 500 || status === 408 ? "again" : "end";
}

/** @type {Record<Asked, (service: Service, parcel: Parcel, path: string, offset: number) => Promise<Transferred | null>>} */
const REQUESTS = {
  create: (service, { id, file, filename, fields = {}, labels, turn, signal }) =>
    transfer(service, {
      method: "POST",
      path: "upload",
      params: labels,
      headers: {
        "Tus-Resumable": "1.0.0",
        "X-Upload-ID": id,
        "Upload-Length": String(file.size),
        "Upload-Metadata": metadata({ filename, filetype: file.type, ...fields }),
      },
      answerMs: STALL_MS,
      signal: any(signal, turn.signal),
    }),
  look: (service, { turn, signal }, path) =>
    transfer(service, {
      method: "HEAD",
      path,
      headers: { "Tus-Resumable": "1.0.0" },
      answerMs: STALL_MS,
      signal: any(signal, turn.signal),
    }),
  append: (service, { file, turn, signal, onBytes, onWaiting }, path, offset) =>
    transfer(service, {
      method: "PATCH",
      path,
      headers: {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": String(offset),
        "Content-Type": "application/offset+octet-stream",
      },
      body: file.slice(offset, offset + PART_BYTES),
      stallMs: STALL_MS,
      answerMs: ANSWER_MS,
      signal: any(signal, turn.signal),
      onBytes: (loaded) => {
        onWaiting(false);
        onBytes(offset + loaded, file.size);
      },
    }),
};

/** @param {Record<string, unknown>} pairs */
function metadata(pairs) {
  return Object.entries(pairs)
    .map(([name, value]) => `${name} ${base64(String(value ?? ""))}`)
    .join(",");
}

/** @param {string} text */
function base64(text) {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}

/**
 * A signal that follows two others (`AbortSignal.any`, which older browsers lack).
 * @param {AbortSignal} one
 * @param {AbortSignal} other
 */
function any(one, other) {
  const abort = new AbortController();
  const stop = () => abort.abort();
  for (const signal of [one, other]) {
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true, signal: abort.signal });
  }
  return abort.signal;
}
