/**
 * Asks the service for the states of uploads as JSON: one, or the list of recent ones, where streams do
 * not tell. What an answer means for an upload is the owner's.
 */

/**
 * @import { ReadOptions, ReadResult } from "./feed.js"
 * @import { RequestOptions, Service } from "../service/service.js"
 * @import { Input, Snapshot } from "../state/state.js"
 * @import { Upload } from "../uploads/upload.js"
 *
 * @typedef {object} Owner
 * @property {(id: string) => Upload | undefined} find
 * @property {() => Upload[]} open uploads that can still change and that the service has heard of
 * @property {(state: Snapshot) => void} onState
 * @property {(upload: Upload, input: Input) => void} apply
 */

import { uploadPath } from "../service/paths.js";

/** Milliseconds after a stream is live until uploads that it did not mention are asked about one by one. */
const SWEEP_MS = 3_000;
const LIST_LIMIT = 100;
const WAIT_S = 25;

/**
 * What a status other than 200 means for a read of the list.
 * @type {Record<number, "denied" | "missing">}
 */
const FAILURES = { 401: "denied", 403: "denied", 404: "missing" };

const FORBIDDEN = Object.freeze({ code: "forbidden", detail: "This upload is not yours to see." });

export class Inquiry {
  #service;
  #owner;
  /** @type {WeakMap<Upload, string>} */
  #etags = new WeakMap();
  /** @type {Set<string>} */
  #heard = new Set();

  /**
   * @param {Service} service
   * @param {Owner} owner
   */
  constructor(service, owner) {
    this.#service = service;
    this.#owner = owner;
  }

  /**
   * A stream has told of this upload.
   * @param {string} id
   */
  heard(id) {
    this.#heard.add(id);
  }

  /**
   * Ask for one upload's state; what the answer says of it is applied. Resolves to its status, or 0.
   * @param {Upload} upload
   * @param {RequestOptions} [options]
   */
  async ask(upload, options) {
    const path = uploadPath(upload.id, "/progress");
    const answer = await this.#service.request("GET", path, options).catch(() => null);
    if (!answer) return 0;
    if (answer.etag) this.#etags.set(upload, answer.etag);
    if (answer.status === 200) this.#owner.onState({ uploadId: upload.id, ...answer.body });
    if (answer.status === 404) this.#owner.apply(upload, { kind: "unknown" });
    if (answer.status === 403) this.#owner.apply(upload, { kind: "failed", error: FORBIDDEN });
    return answer.status;
  }

  /**
   * Read a part of the list of uploads; resolves to the ids in it and the `after` of the part that
   * follows, or to why there are none.
   * @param {{ limit?: number, after?: string | null, signal?: AbortSignal }} [options]
   * @returns {Promise<{ ids: Set<string>, next: string | null, failure?: undefined } | { ids?: undefined, failure: "denied" | "missing" | "away" }>}
   */
  async readList({ limit = LIST_LIMIT, after = null, signal } = {}) {
    const answer = await this.#service
      .request("GET", "uploads", { params: { limit, after }, signal })
      .catch(() => null);
    if (answer?.status !== 200) return { failure: FAILURES[answer?.status ?? 0] ?? "away" };
    /** @type {(Snapshot & { uploadId: string })[]} */
    const states = Array.isArray(answer.body?.uploads) ? answer.body.uploads : [];
    for (const state of states) this.#owner.onState(state);
    return { ids: new Set(states.map((state) => state.uploadId)), next: answer.body.next ?? null };
  }

  /**
   * @param {ReadOptions} options
   * @returns {Promise<ReadResult | "missing">}
   */
  async readAll({ signal }) {
    const { ids, failure } = await this.readList({ signal });
    if (failure) return failure;
    for (const upload of this.#owner.open()) if (!ids.has(upload.id)) await this.ask(upload, { signal });
    return "ok";
  }

  /**
   * @param {string} id
   * @param {ReadOptions} options
   * @returns {Promise<ReadResult>}
   */
  async readOne(id, { wait, signal }) {
    const upload = this.#owner.find(id);
    if (!upload) return "ok";
    const etag = this.#etags.get(upload);
    /** @type {Record<string, string>} */
    const headers = etag ? { "If-None-Match": etag } : {};
    if (wait) headers.Prefer = `wait=${WAIT_S}`;
    const status = await this.ask(upload, {
      headers,
      signal,
      timeoutMs: wait ? 1000 * (WAIT_S + 15) : undefined,
    });
    if (status === 200) return "changed";
    if (status === 304 || status === 404) return "ok";
    return status === 401 || status === 403 ? "denied" : "away";
  }

  /**
   * The shared stream tells what is open or ended lately, and a single one is silent about an upload
   * that never arrived, so each upload that was not mentioned is asked about.
   */
  sweepSoon() {
    this.#heard.clear();
    setTimeout(async () => {
      for (const upload of this.#owner.open()) {
        if (!this.#heard.has(upload.id) && upload.state.phase !== "sending") await this.ask(upload);
      }
    }, SWEEP_MS);
  }
}
