/** Many uploads as one: made, joined, followed to its end, closed and cancelled. */

/**
 * @import { BatchOptions, BatchState } from "../index.js"
 * @import { Frame } from "../follow/decoder.js"
 * @import { ReadOptions, ReadResult } from "../follow/feed.js"
 * @import { Service } from "../service/service.js"
 */

import { UploadError } from "../service/errors.js";
import { Feed } from "../follow/feed.js";
import { newUploadId } from "../service/ids.js";
import { Observers } from "../service/observers.js";

const WAIT_S = 25;
const ENDS = new Set(["complete", "error", "cancelled"]);
const NO_ITEMS = Object.freeze({ total: 0, complete: 0, error: 0, cancelled: 0, running: 0 });

/**
 * Make a batch; again with the same `id` it sets `total`. Rejects with UploadError.
 * @param {Service} service
 * @param {BatchOptions} [options]
 */
export async function createBatch(service, { id = newUploadId(), ...about } = {}) {
  await ask(service, "POST", "batches", { id, ...about });
  return new Batch(service, id);
}

export class Batch {
  #service;
  #feed;
  /** @type {Observers<[batch: Batch]>} */
  #observers = new Observers();
  /** @type {(state: BatchState) => void} */
  #resolve = () => {};
  /** @type {(error: UploadError) => void} */
  #reject = () => {};
  #etag = "";

  /**
   * Follows it from now on.
   * @param {Service} service
   * @param {string} id
   */
  constructor(service, id) {
    this.#service = service;
    this.id = id;
    /**
     * A new object after each change.
     * @type {BatchState}
     */
    this.state = Object.freeze({
      id,
      progress: 0,
      stage: null,
      message: "",
      items: NO_ITEMS,
      item: null,
      ended: false,
    });
    /**
     * Resolves to the last state, whatever its items came to; rejects if it cannot be followed.
     * @type {Promise<BatchState>}
     */
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.done.catch(() => {});
    this.#feed = new Feed(service, this.#path("/progress"), {
      onFrame: (frame) => this.#heard(frame),
      onLink: () => {},
      onRefused: (status) => status === 204 || this.#reject(new UploadError({ code: "forbidden", status })),
      read: (options) => this.#read(options),
    });
    this.#feed.start();
  }

  /**
   * `listener(batch)` after each change.
   * @param {(batch: Batch) => void} listener
   * @param {{ signal?: AbortSignal }} [options]
   */
  observe(listener, options) {
    return this.#observers.add(listener, options);
  }

  /** No more uploads join. Rejects with UploadError. */
  async close() {
    await ask(this.#service, "POST", this.#path("/close"));
  }

  /** Cancel what is open; nothing more joins. Rejects with UploadError. */
  async cancel() {
    await ask(this.#service, "DELETE", this.#path());
  }

  /** Stop following, without touching the batch itself. */
  forget() {
    this.#feed.stop();
  }

  #path(rest = "") {
    return `batches/${encodeURIComponent(this.id)}${rest}`;
  }

  /** @param {Frame} frame */
  #heard({ data }) {
    try {
      this.#become(JSON.parse(data));
    } catch {
      // not one of ours; the stream goes on after it
    }
  }

  /**
   * @param {ReadOptions} options
   * @returns {Promise<ReadResult>}
   */
  async #read({ wait, signal }) {
    /** @type {Record<string, string>} */
    const headers = this.#etag ? { "If-None-Match": this.#etag } : {};
    if (wait) headers.Prefer = `wait=${WAIT_S}`;
    const timeoutMs = wait ? 1000 * (WAIT_S + 15) : undefined;
    const answer = await this.#service
      .request("GET", this.#path("/progress"), { headers, signal, timeoutMs })
      .catch(() => null);
    if (answer?.status === 401 || answer?.status === 403) return "denied";
    if (answer?.status === 304) return "ok";
    if (answer?.status !== 200) return "away";
    this.#etag = answer.etag ?? "";
    this.#become({ type: "reset", ...answer.body });
    return "changed";
  }

  /** @param {any} event */
  #become({ type, stage, progress, message, items, item, error }) {
    if (this.state.ended || (type !== "progress" && type !== "reset") || !stage) return;
    if (stage === "error") return this.#fail(error);
    const ended = ENDS.has(stage);
    this.state = Object.freeze({
      ...this.state,
      stage,
      progress: stage === "cancelled" ? this.state.progress : Math.max(progress ?? 0, this.state.progress),
      message: message ?? "",
      items: Object.freeze({ ...this.state.items, ...items }),
      item: item ?? null,
      ended,
    });
    this.#observers.notify(this);
    if (!ended) return;
    this.#feed.stop();
    this.#resolve(this.state);
  }

  /** @param {{ code?: string, detail?: string } | undefined} error */
  #fail(error) {
    this.#feed.stop();
    this.#reject(new UploadError({ code: "internal", ...error }));
  }
}

/**
 * @param {Service} service
 * @param {string} method
 * @param {string} path
 * @param {object} [json]
 */
async function ask(service, method, path, json) {
  const { status, body } = await service.request(method, path, { json });
  if (status >= 400) throw new UploadError({ code: "network", ...body, status });
}
