/**
 * All uploads of one service and one caller. What is known of them is kept by Known, what is done with
 * them by Actions; files are sent by the Outbox, streams kept by Streams.
 */

/**
 * @import { BatchOptions, Link, ProgressEvent } from "../index.js"
 * @import { Fields } from "../send/send.js"
 * @import { Parcel } from "../send/outbox.js"
 * @import { ServiceOptions, Token } from "../service/service.js"
 * @import { Upload } from "./upload.js"
 *
 * @typedef {(upload: Upload, event: ProgressEvent | null) => void} Listener
 * @typedef {{ signal?: AbortSignal }} ObserveOptions
 * @typedef {ObserveOptions & { onEvent?: Listener }} FollowOptions
 * @typedef {FollowOptions & { id?: string, filename?: string, fields?: Fields, resumable?: boolean,
 *   batch?: string, kind?: string, context?: Record<string, string> }} UploadOptions
 */

import { Actions } from "./actions.js";
import { Batch, createBatch } from "./batch.js";
import { rememberBegun } from "../send/begun.js";
import { UploadError } from "../service/errors.js";
import { newUploadId } from "../service/ids.js";
import { Inquiry } from "../follow/inquiry.js";
import { Known } from "./known.js";
import { rememberName } from "./names.js";
import { Outbox } from "../send/outbox.js";
import { labelsOf } from "../send/send.js";
import { LARGE_BYTES, Turn, fitForParts } from "../send/resumable.js";
import { readRules } from "../send/restrictions.js";
import { Service } from "../service/service.js";
import { initial } from "../state/state.js";
import { Streams } from "../follow/streams.js";

export class Client {
  #service;
  #remember;
  #known;
  #actions;
  #outbox;
  #inquiry;
  #streams;
  /** @type {Map<string, Promise<import("../send/restrictions.js").Rules>>} by kind */
  #rules = new Map();

  /**
   * `url`: the service's root. `token`: a string, or a function that returns one. `credentials`: as
   * for fetch. `caller`: the user's name, where a cookie says who it is. `transport`: how events come.
   * `parallel`: bodies sent at once. `remember`: keep file names in this browser so that they survive a
   * reload. `tabs`: share the stream for everything with the browser's other tabs, or not.
   * @param {ServiceOptions & { parallel?: number, remember?: boolean, tabs?: "shared" | "alone" }} [options]
   */
  constructor({ parallel = 3, remember = true, tabs = "shared", ...service } = {}) {
    this.#service = new Service(service);
    this.#remember = remember;
    this.#actions = new Actions(this.#service, {
      known: () => this.#known,
      outbox: () => this.#outbox,
      remember,
      send: (file, options) => this.upload(file, options),
    });
    /** @type {import("./known.js").Owner} */
    const owner = {
      actions: this.#actions,
      linkOf: (id) => this.#streams.linkOf(id),
      onChange: () => this.#streams.planSoon(),
      onHeard: (id) => this.#inquiry.heard(id),
      waits: (upload) => this.#outbox.holds(upload),
    };
    const known = new Known(owner, { remember });
    this.#known = known;
    /**
     * Every upload known here by id, in the order in which it became known.
     * @type {Map<string, Upload>}
     */
    this.uploads = known.uploads;
    this.#outbox = new Outbox(this.#service, {
      parallel,
      apply: (upload, input) => known.apply(upload, input),
      onAnswer: (upload) => known.release(upload),
      onSilence: (upload) => void this.#inquiry.ask(upload),
    });
    this.#inquiry = new Inquiry(this.#service, {
      find: (id) => known.uploads.get(id),
      open: () => known.open(),
      onState: (state) => known.snapshot(state),
      apply: (upload, input) => known.apply(upload, input),
    });
    /** @type {import("../follow/streams.js").Owner} */
    const reader = {
      wanted: (how) => known.wanted(how),
      onFrame: (frame) => known.event(frame),
      onLive: () => this.#inquiry.sweepSoon(),
      onRefused: (id) => this.#askAgain(id),
      readAll: (options) => this.#inquiry.readAll(options),
      readOne: (id, options) => this.#inquiry.readOne(id, options),
      onLink: () => known.relink(),
    };
    this.#streams = new Streams(this.#service, reader, { tabs });
  }

  /** The service's root, absolute, ending in a slash. */
  get url() {
    return this.#service.root;
  }

  /** What the connection is doing: idle, connecting, live, reconnecting, polling or denied. */
  get link() {
    return this.#streams.link;
  }

  /** Whether requests carry a token of ours; without one the browser's cookies have to do. */
  get hasToken() {
    return this.#service.hasToken;
  }

  /**
   * New credentials: whatever was refused for the old ones is tried again.
   * @param {Token} token
   */
  set token(token) {
    const same = token === this.#service.token || typeof token === "function";
    this.#service.token = token;
    if (!same || this.link === "denied") this.#streams.renew();
  }

  /** The request headers of this moment, for requests of your own such as a thumbnail. */
  headers() {
    return this.#service.headers();
  }

  /**
   * Send `file`. The Upload exists at once, before any answer.
   *
   * `id` names it (a new one is made without); `fields` are text fields kept as metadata; `filename`
   * overrides the file's; `batch`, `kind` and `context` label it; `onEvent(upload, event)` is its first listener; `signal` cancels it.
   * A large file goes in parts (`resumable`), over cuts and restarts; one that this browser has begun
   * and not ended, also before a reload, goes on where it was, under the id that it has.
   * @param {Blob} file
   * @param {UploadOptions} [options]
   */
  upload(file, options = {}) {
    const {
      fields = {},
      filename = nameOf(file),
      onEvent,
      signal,
      resumable,
      batch,
      kind,
      context,
    } = options;
    const inParts = resumable ?? (file.size >= LARGE_BYTES && fitForParts(fields));
    const begun = inParts && !options.id && this.#remember ? this.#known.begun(this.url, file) : null;
    const id = options.id ?? begun ?? newUploadId();
    if (this.uploads.has(id) && !begun) {
      throw new UploadError({ code: "upload_id_in_use", detail: "This id is already being followed." });
    }
    if (begun) this.#known.letGo(begun);
    const upload = this.#known.enter(initial({ id, filename, size: file.size, kind }), {
      file,
      options: { ...options, fields, filename, id: undefined },
      own: true,
    });
    if (onEvent) upload.observe(onEvent);
    if (inParts && this.#remember) rememberBegun(this.url, file, id);
    if (this.#remember) rememberName(id, { filename, size: file.size });
    if (signal?.aborted) {
      this.#known.apply(upload, { kind: "cancelled" });
      return upload;
    }
    signal?.addEventListener("abort", () => void upload.cancel().catch(() => {}), { once: true });
    const row = this.#known.row(upload);
    row.turn = inParts ? new Turn() : null;
    /** @type {Parcel} */
    const parcel = {
      filename,
      fields,
      labels: labelsOf({ batch, kind, context }),
      signal: row.abort.signal,
      turn: row.turn,
      known: begun !== null,
    };
    this.#outbox.add(upload, file, parcel);
    return upload;
  }

  /**
   * Follow an upload that is sent from elsewhere, also one that has not begun. `signal` stops it.
   * @param {string} id
   * @param {FollowOptions} [options]
   */
  follow(id, { onEvent, signal } = {}) {
    const upload = this.uploads.get(id) ?? this.#known.enterId(id);
    this.#known.row(upload).own = true;
    if (onEvent) upload.observe(onEvent, { signal });
    signal?.addEventListener("abort", () => this.#actions.forget(upload), { once: true });
    this.#streams.planSoon();
    return upload;
  }

  /**
   * What the service accepts of a kind, so that a file can be refused before it is sent; asked once.
   * @param {string} [kind]
   */
  rules(kind = "upload") {
    const rules = this.#rules.get(kind) ?? readRules(this.#service, kind);
    this.#rules.set(kind, rules);
    return rules;
  }

  /**
   * A batch, which uploads join by the option `batch`. Rejects with UploadError.
   * @param {BatchOptions} [options]
   */
  createBatch(options) {
    return createBatch(this.#service, options);
  }

  /**
   * Follow a batch that was made elsewhere.
   * @param {string} id
   */
  followBatch(id) {
    return new Batch(this.#service, id);
  }

  /**
   * Follow everything of this caller's: what was sent before a reload, from other tabs and by other
   * devices. Resolves to a function that ends it, once the list of recent uploads (at most `limit`,
   * newest first) has been read; a service that cannot be reached yet is no error.
   */
  async watch({ limit = 20 } = {}) {
    this.#known.watchers += 1;
    this.#streams.planSoon();
    await this.#inquiry.readList({ limit });
    return () => {
      this.#known.watchers -= 1;
      this.#streams.planSoon();
    };
  }

  /**
   * Take in a part of the list of this caller's uploads, newest first, while it is watched: also those
   * of long ago. Resolves to its ids and the `after` of the part that follows (null: it was the last),
   * or to null if the service cannot be asked.
   * @param {{ limit?: number, after?: string | null }} [options]
   */
  async readList(options) {
    const read = await this.#inquiry.readList({ limit: 20, ...options });
    return read.ids ? { ids: [...read.ids], next: read.next } : null;
  }

  /**
   * `listener(upload, event)` for every upload of this client; see Upload.observe.
   * @param {Listener} listener
   * @param {ObserveOptions} [options]
   */
  observe(listener, options) {
    return this.#known.observers.add(listener, options);
  }

  /**
   * `listener(link)` whenever the connection's state changes.
   * @param {(link: Link) => void} listener
   * @param {ObserveOptions} [options]
   */
  observeLink(listener, options) {
    return this.#streams.observe(listener, options);
  }

  /** Close every stream and abandon every body. The client is of no use afterwards. */
  close() {
    for (const upload of [...this.uploads.values()]) this.#actions.forget(upload);
    this.#streams.close();
  }

  /**
   * A stream does not say why it is refused, or that all was said; the state does.
   * @param {string} id
   */
  #askAgain(id) {
    const upload = this.uploads.get(id);
    if (upload) void this.#inquiry.ask(upload);
  }
}

/** @param {Blob} file */
function nameOf(file) {
  return /** @type {Partial<File>} */ (file).name || "file";
}
