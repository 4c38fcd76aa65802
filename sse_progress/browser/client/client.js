/**
 * All uploads of one service and one caller: keeps their states, and gives every event to the one it
 * belongs to. Files are sent by the Outbox, streams are kept by Streams.
 */

/**
 * @import { Frame } from "./decoder.js"
 * @import { BatchOptions, Link, ProgressEvent, UploadState } from "./index.js"
 * @import { Fields } from "./send.js"
 * @import { Parcel } from "./outbox.js"
 * @import { ServiceOptions, Token } from "./service.js"
 * @import { Input, Snapshot } from "./state.js"
 *
 * @typedef {(upload: Upload, event: ProgressEvent | null) => void} Listener
 * @typedef {{ signal?: AbortSignal }} ObserveOptions
 * @typedef {ObserveOptions & { onEvent?: Listener }} FollowOptions
 * @typedef {FollowOptions & { id?: string, filename?: string, fields?: Fields, resumable?: boolean,
 *   batch?: string, kind?: string, context?: Record<string, string> }} UploadOptions
 * @typedef {Extract<Input, { kind: "event" | "snapshot" }>} News What the service says of an upload.
 *
 * @typedef {object} Row What only the client needs to know of an upload.
 * @property {boolean} own sent or asked for here
 * @property {UploadOptions} options
 * @property {AbortController} abort of its body
 * @property {Turn | null} turn whether it may be sent now, if it goes in parts
 * @property {boolean} unanswered its POST has no answer yet
 * @property {{ input: News, event: ProgressEvent | null } | null} held
 */

import { Batch, createBatch } from "./batch.js";
import { forgetBegun, isBegun, recallBegun, rememberBegun } from "./begun.js";
import { UploadError } from "./errors.js";
import { readHistory } from "./history.js";
import { newUploadId } from "./ids.js";
import { Inquiry } from "./inquiry.js";
import { recallName, rememberName } from "./names.js";
import { Observers } from "./observers.js";
import { Outbox } from "./outbox.js";
import { uploadPath } from "./paths.js";
import { labelsOf } from "./send.js";
import { LARGE_BYTES, Turn, fitForParts } from "./resumable.js";
import { readRules } from "./restrictions.js";
import { Service } from "./service.js";
import { initial, next } from "./state.js";
import { Streams } from "./streams.js";
import { Upload } from "./upload.js";

export class Client {
  /**
   * Every upload known here by id, in the order in which it became known.
   * @type {Map<string, Upload>}
   */
  uploads = new Map();

  #service;
  #remember;
  #outbox;
  #inquiry;
  #streams;
  /** @type {Observers<[upload: Upload, event: ProgressEvent | null]>} */
  #observers = new Observers();
  /** @type {Map<string, Row>} by upload id */
  #rows = new Map();
  /** @type {Map<string, Promise<import("./restrictions.js").Rules>>} by kind */
  #rules = new Map();
  #watchers = 0;

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
    this.#outbox = new Outbox(this.#service, {
      parallel,
      apply: (upload, input) => this.#apply(upload, input),
      onAnswer: (upload) => this.#release(upload),
      onSilence: (upload) => void this.#inquiry.ask(upload),
    });
    this.#inquiry = new Inquiry(this.#service, {
      find: (id) => this.uploads.get(id),
      open: () => this.#open(),
      onState: (state) => this.#snapshot(state),
      apply: (upload, input) => this.#apply(upload, input),
    });
    /** @type {import("./streams.js").Owner} */
    const owner = {
      wanted: ({ asleep }) => this.#wanted(asleep),
      onFrame: (frame) => this.#event(frame),
      onLive: () => this.#inquiry.sweepSoon(),
      onRefused: (id) => this.#streamRefused(id),
      readAll: (options) => this.#inquiry.readAll(options),
      readOne: (id, options) => this.#inquiry.readOne(id, options),
      onLink: () => this.#relink(),
    };
    this.#streams = new Streams(this.#service, owner, { tabs });
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
    const begun = inParts && !options.id && this.#remember ? this.#begun(file) : null;
    const id = options.id ?? begun ?? newUploadId();
    if (this.uploads.has(id) && !begun) {
      throw new UploadError({ code: "upload_id_in_use", detail: "This id is already being followed." });
    }
    if (begun) this.#letGo(begun);
    const upload = this.#enter(initial({ id, filename, size: file.size, kind }), {
      file,
      options: { ...options, fields, filename, id: undefined },
      own: true,
    });
    if (onEvent) upload.observe(onEvent);
    if (inParts && this.#remember) rememberBegun(this.url, file, id);
    if (this.#remember) rememberName(id, { filename, size: file.size });
    if (signal?.aborted) {
      this.#apply(upload, { kind: "cancelled" });
      return upload;
    }
    signal?.addEventListener("abort", () => void upload.cancel().catch(() => {}), { once: true });
    const row = this.#row(upload);
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
   * The id under which this file was begun, unless it is being sent from here or is over.
   * @param {Blob} file
   */
  #begun(file) {
    const id = recallBegun(this.url, file);
    const upload = id === null ? undefined : this.uploads.get(id);
    return upload && (upload.ended || upload.file) ? null : id;
  }

  /**
   * Forget the upload that was only followed until now: the one that sends takes its place.
   * @param {string} id
   */
  #letGo(id) {
    const followed = this.uploads.get(id);
    if (followed) this.#forget(followed);
  }

  /**
   * Follow an upload that is sent from elsewhere, also one that has not begun. `signal` stops it.
   * @param {string} id
   * @param {FollowOptions} [options]
   */
  follow(id, { onEvent, signal } = {}) {
    const upload = this.uploads.get(id) ?? this.#enter(initial({ id, ...this.#recall(id) }));
    this.#row(upload).own = true;
    if (onEvent) upload.observe(onEvent, { signal });
    signal?.addEventListener("abort", () => this.#forget(upload), { once: true });
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
    this.#watchers += 1;
    this.#streams.planSoon();
    await this.#inquiry.readList({ limit });
    return () => {
      this.#watchers -= 1;
      this.#streams.planSoon();
    };
  }

  /**
   * `listener(upload, event)` for every upload of this client; see Upload.observe.
   * @param {Listener} listener
   * @param {ObserveOptions} [options]
   */
  observe(listener, options) {
    return this.#observers.add(listener, options);
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
    for (const upload of [...this.uploads.values()]) this.#forget(upload);
    this.#streams.close();
  }

  // ---- uploads

  /**
   * @param {UploadState} state
   * @param {{ file?: Blob | null, options?: UploadOptions, own?: boolean, event?: ProgressEvent | null }} [about]
   */
  #enter(state, { file = null, options = {}, own = false, event = null } = {}) {
    /** @type {import("./upload.js").Actions} */
    const actions = {
      cancel: (upload) => this.#cancel(upload),
      retry: (upload) => this.#retry(upload),
      forget: (upload) => this.#forget(upload),
      readHistory: (upload) => this.#readHistory(upload),
      canPause: (upload) => Boolean(this.#rows.get(upload.id)?.turn) && upload.state.phase !== "working",
      canGoOn: (upload) => this.#remember && isBegun(upload.id),
      pause: (upload, on) => this.#pause(upload, on),
    };
    const upload = new Upload(state, { file, actions });
    this.uploads.set(state.id, upload);
    const row = {
      own,
      options,
      abort: new AbortController(),
      turn: null,
      unanswered: file !== null,
      held: null,
    };
    this.#rows.set(state.id, row);
    upload.relink(upload.ended ? "idle" : this.#streams.linkOf(state.id));
    this.#observers.notify(upload, event);
    this.#streams.planSoon();
    return upload;
  }

  /** @param {Upload} upload */
  #row(upload) {
    return /** @type {Row} */ (this.#rows.get(upload.id));
  }

  /**
   * @param {Upload} upload
   * @param {Input} input
   * @param {ProgressEvent | null} [event]
   */
  #apply(upload, input, event = null) {
    const before = upload.state;
    const after = next(before, input);
    if (after === before) return;
    upload.become(after, event);
    this.#observers.notify(upload, event);
    if (!upload.ended) return;
    forgetBegun(upload.id);
    if (after.phase !== "done") this.#rows.get(upload.id)?.abort.abort();
    upload.relink("idle");
    this.#streams.planSoon();
  }

  /** @param {Upload} upload */
  #forget(upload) {
    this.#rows.get(upload.id)?.abort.abort();
    this.#outbox.drop(upload);
    this.uploads.delete(upload.id);
    this.#rows.delete(upload.id);
    this.#streams.planSoon();
  }

  /** @param {string} id */
  #recall(id) {
    return (this.#remember && recallName(id)) || {};
  }

  /** @param {Upload} upload */
  #retry(upload) {
    const { signal, ...options } = this.#row(upload).options;
    if (!upload.file) throw new UploadError({ code: "no_file" });
    return this.upload(upload.file, { ...options, signal: signal?.aborted ? undefined : signal });
  }

  /**
   * @param {Upload} upload
   * @param {boolean} on
   */
  #pause(upload, on) {
    const { turn } = this.#row(upload);
    this.#apply(upload, { kind: "paused", on });
    if (on) turn?.pause();
    else turn?.resume();
  }

  /** @param {Upload} upload */
  async #cancel(upload) {
    if (upload.ended) return;
    if (this.#outbox.holds(upload)) {
      this.#outbox.drop(upload);
      this.#apply(upload, { kind: "cancelled" });
      return;
    }
    this.#apply(upload, { kind: "cancelling", on: true });
    const answer = await this.#service
      .request("DELETE", uploadPath(upload.id))
      .catch(() => ({ status: 0, body: null }));
    // Cut the body only after the service has been told, so that the journal says "cancelled".
    if (upload.state.phase === "sending") this.#rows.get(upload.id)?.abort.abort();
    if (answer.status === 204 || answer.status === 404) return this.#apply(upload, { kind: "cancelled" });
    this.#apply(upload, { kind: "cancelling", on: false });
    if (answer.status === 409) return; // it ended first: its own end is on the way
    throw new UploadError({ code: "network", ...answer.body, status: answer.status });
  }

  // ---- what the service says

  /** @param {Frame} frame */
  #event(frame) {
    const event = parse(frame.data);
    if (typeof event?.uploadId !== "string") return;
    this.#inquiry.heard(event.uploadId);
    this.#learn(event.uploadId, { kind: "event", event }, event);
  }

  /** @param {Snapshot} state */
  #snapshot(state) {
    if (typeof state?.uploadId === "string") this.#learn(state.uploadId, { kind: "snapshot", state });
  }

  /**
   * Something about an upload; one that this page did not start is taken in if everything is watched.
   * @param {string} id
   * @param {News} input
   * @param {ProgressEvent | null} [event]
   */
  #learn(id, input, event = null) {
    const upload = this.uploads.get(id);
    if (upload) return this.#hold(upload, input, event) || this.#apply(upload, input, event);
    if (!this.#watchers) return;
    const unknown = initial({ id, ...this.#recall(id) });
    const state = next(unknown, input);
    if (state !== unknown) this.#enter(state, { event });
  }

  /**
   * A completion that comes before the POST's answer may be that of an older upload under the same id,
   * which the answer will tell: nothing is shown as done before.
   * @param {Upload} upload
   * @param {News} input
   * @param {ProgressEvent | null} event
   */
  #hold(upload, input, event) {
    const row = this.#row(upload);
    const said = input.kind === "event" ? input.event : input.state;
    const held = row.unanswered && said.stage === "complete";
    if (held) row.held = { input, event };
    return held;
  }

  /** @param {Upload} upload */
  #release(upload) {
    const row = this.#row(upload);
    row.unanswered = false;
    if (row.held) this.#apply(upload, row.held.input, row.held.event);
  }

  /**
   * A stream does not say why it is refused, or that all was said; the state does.
   * @param {string} id
   */
  #streamRefused(id) {
    const upload = this.uploads.get(id);
    if (upload) void this.#inquiry.ask(upload);
  }

  /** @param {Upload} upload */
  async #readHistory(upload) {
    const told = await readHistory(this.#service, upload.id);
    if (told) this.#apply(upload, { kind: "history", told });
    return told !== null;
  }

  /** Uploads that can still change and that the service has had a chance to hear of. */
  #open() {
    return [...this.uploads.values()].filter((upload) => !upload.ended && !this.#outbox.holds(upload));
  }

  // ---- for the streams

  /** @param {boolean} asleep */
  #wanted(asleep) {
    const open = [...this.uploads.values()].filter((upload) => !upload.ended);
    const mine = open.filter((upload) => this.#row(upload).own);
    const everything = this.#watchers > 0 && !asleep;
    return { everything, ids: (everything ? open : mine).map((upload) => upload.id) };
  }

  #relink() {
    for (const upload of this.uploads.values()) {
      if (!upload.ended) upload.relink(this.#streams.linkOf(upload.id));
    }
  }
}

/** @param {Blob} file */
function nameOf(file) {
  return /** @type {Partial<File>} */ (file).name || "file";
}

/** @param {string} data */
function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null; // not one of ours; a stream goes on after it
  }
}
