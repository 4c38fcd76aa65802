/**
 * All uploads of one service and one caller: who is sent when, which streams are open, and which
 * event belongs to whom.
 *
 * On HTTP/1.1 a browser has six connections to a host. So there is one stream for everything, at
 * most `parallel` bodies at once, and small requests in between.
 */

import { UploadError } from "./errors.js";
import { Feed } from "./feed.js";
import { newUploadId } from "./ids.js";
import { recallName, rememberName } from "./names.js";
import { Observers } from "./observers.js";
import { send } from "./send.js";
import { Service, uploadPath } from "./service.js";
import { hasEnded, initial, next } from "./state.js";
import { Upload } from "./upload.js";

const ALL = "*";
/** Streams of single uploads at once, where the service has no stream for all. */
const SINGLE_STREAMS = 2;
/** So long after a stream is live, uploads that it did not mention are asked about one by one. */
const SWEEP_MS = 3_000;
/** A page out of sight gives up the stream for uploads that are not its own. */
const HIDDEN_MS = 60_000;
const LIST_LIMIT = 100;
/** Refusals of too much at once that are waited out before they count as a failure. */
const PATIENCE = 10;

export class Client {
  /** Every upload known here by id, in the order in which it became known. */
  uploads = new Map();

  #service;
  #parallel;
  #remember;
  #observers = new Observers();
  #linkObservers = new Observers();
  #rows = new Map(); // id → what only the client needs to know of an upload
  #feeds = new Map(); // ALL or an id → Feed
  #queue = [];
  #sending = 0;
  #pausedUntil = 0;
  #watchers = 0;
  #singles = false;
  #asleep = false;
  #planned = false;
  #link = "idle";
  #listening = new AbortController();
  #heard = new Set();

  /**
   * `url`: the service's root. `token`: a string, or a function that returns one. `credentials`: as
   * for fetch. `parallel`: bodies sent at once. `remember`: keep file names in this browser so that
   * they survive a reload.
   */
  constructor({ url, token, credentials, parallel = 3, remember = true } = {}) {
    this.#service = new Service({ url, token, credentials });
    this.#parallel = parallel;
    this.#remember = remember;
    this.#listenToPage();
  }

  /** The service's root, absolute, ending in a slash. */
  get url() {
    return this.#service.root;
  }

  /** What the connection is doing: idle, connecting, live, reconnecting, polling or denied. */
  get link() {
    return this.#link;
  }

  /** New credentials: whatever was refused for the old ones is tried again. */
  set token(token) {
    this.#service.token = token;
    for (const feed of this.#feeds.values()) feed.wake({ changed: true });
    this.#pump();
  }

  /** The Authorization header of this moment, for requests of your own such as a thumbnail. */
  headers() {
    return this.#service.headers();
  }

  // ---- for users of the module

  /**
   * Send `file`. The Upload exists at once, before any answer.
   *
   * `id` names it (a new one is made without); `fields` are text fields kept as metadata; `filename`
   * overrides the file's; `onEvent(upload, event)` is its first listener; `signal` cancels it.
   */
  upload(file, { id = newUploadId(), fields = {}, filename = file.name || "file", onEvent, signal } = {}) {
    if (this.uploads.has(id)) {
      throw new UploadError({ code: "upload_id_in_use", detail: "This id is already being followed." });
    }
    const options = { fields, filename, onEvent, signal };
    const upload = this.#enter(initial({ id, filename, size: file.size }), { file, options, own: true });
    if (onEvent) upload.observe(onEvent);
    if (this.#remember) rememberName(id, { filename, size: file.size });
    if (signal?.aborted) {
      this.#apply(upload, { kind: "cancelled" });
      return upload;
    }
    signal?.addEventListener("abort", () => void upload.cancel().catch(() => {}), { once: true });
    this.#queue.push(upload);
    this.#pump();
    return upload;
  }

  /** Follow an upload that is sent from elsewhere, also one that has not begun. `signal` stops it. */
  follow(id, { onEvent, signal } = {}) {
    const upload = this.uploads.get(id) ?? this.#enter(initial({ id, ...this.#recall(id) }), { own: true });
    this.#rows.get(id).own = true;
    if (onEvent) upload.observe(onEvent, { signal });
    signal?.addEventListener("abort", () => this.#forget(upload), { once: true });
    this.#plan();
    return upload;
  }

  /**
   * Follow everything of this caller's: what was sent before a reload, from other tabs and by other
   * devices. Resolves to a function that ends it, once the list of recent uploads (at most `limit`,
   * newest first) has been read; a service that cannot be reached yet is no error.
   */
  async watch({ limit = 20 } = {}) {
    this.#watchers += 1;
    this.#plan();
    await this.#list(limit);
    return () => {
      this.#watchers -= 1;
      this.#plan();
    };
  }

  /** `listener(upload, event)` for every upload of this client; see Upload.observe. */
  observe(listener, options) {
    return this.#observers.add(listener, options);
  }

  /** `listener(link)` whenever the connection's state changes. */
  observeLink(listener, options) {
    return this.#linkObservers.add(listener, options);
  }

  /** Close every stream and abandon every body. The client is of no use afterwards. */
  close() {
    this.#listening.abort();
    this.#watchers = 0;
    for (const upload of [...this.uploads.values()]) this.#forget(upload);
    for (const feed of this.#feeds.values()) feed.stop();
    this.#feeds.clear();
  }

  // ---- uploads

  #enter(state, { file = null, options = {}, own = false } = {}) {
    const actions = {
      cancel: (upload) => this.#cancel(upload),
      retry: (upload) => this.upload(upload.file, this.#rows.get(upload.id).options),
      forget: (upload) => this.#forget(upload),
    };
    const upload = new Upload(state, { file, actions });
    this.uploads.set(state.id, upload);
    this.#rows.set(state.id, { own, options, abort: new AbortController(), refusals: 0, etag: null });
    upload.relink(this.#linkFor(state.id));
    this.#observers.notify(upload, null);
    this.#planSoon();
    return upload;
  }

  #apply(upload, input, event = null) {
    const before = upload.state;
    const after = next(before, input);
    if (after === before) return;
    upload.become(after, event);
    this.#observers.notify(upload, event);
    if (!hasEnded(after)) return;
    if (after.phase !== "done") this.#rows.get(upload.id)?.abort.abort();
    upload.relink("idle");
    this.#planSoon();
  }

  #forget(upload) {
    this.#rows.get(upload.id)?.abort.abort();
    this.#queue = this.#queue.filter((other) => other !== upload);
    this.uploads.delete(upload.id);
    this.#rows.delete(upload.id);
    this.#planSoon();
  }

  #recall(id) {
    return (this.#remember && recallName(id)) || {};
  }

  async #cancel(upload) {
    if (upload.ended) return;
    if (this.#queue.includes(upload)) {
      this.#queue = this.#queue.filter((other) => other !== upload);
      this.#apply(upload, { kind: "cancelled" });
      return;
    }
    this.#apply(upload, { kind: "cancelling", on: true });
    const path = uploadPath(upload.id);
    const answer = await this.#service.request("DELETE", path).catch((error) => ({ status: 0, error }));
    const { abort } = this.#rows.get(upload.id) ?? {};
    // Cut the body only after the service has been told, so that the journal says "cancelled".
    if (upload.state.phase === "sending") abort?.abort();
    if (answer.status === 204 || answer.status === 404) return this.#apply(upload, { kind: "cancelled" });
    this.#apply(upload, { kind: "cancelling", on: false });
    if (answer.status === 409) return; // it ended first: its own end is on the way
    throw new UploadError({ code: "network", ...answer.body, status: answer.status });
  }

  // ---- sending

  #pump() {
    const waitMs = this.#pausedUntil - Date.now();
    if (waitMs > 0 && this.#queue.length) {
      setTimeout(() => this.#pump(), waitMs);
      return;
    }
    while (this.#sending < this.#parallel && this.#queue.length) void this.#send(this.#queue.shift());
  }

  async #send(upload) {
    const row = this.#rows.get(upload.id);
    this.#sending += 1;
    this.#apply(upload, { kind: "send" });
    const answer = await send(this.#service, {
      id: upload.id,
      file: upload.file,
      filename: row.options.filename,
      fields: row.options.fields,
      onBytes: (loaded, total) => this.#apply(upload, { kind: "bytes", loaded, total }),
      signal: row.abort.signal,
    });
    this.#sending -= 1;
    if (this.uploads.get(upload.id) === upload) this.#answered(upload, row, answer);
    this.#pump();
  }

  #answered(upload, row, answer) {
    if (upload.ended) return;
    if (answer === null) {
      this.#apply(upload, { kind: "cut" });
      void this.#ask(upload);
      return;
    }
    if (answer.status === 429 && !upload.state.fromServer && row.refusals < PATIENCE) {
      row.refusals += 1;
      this.#pausedUntil = Date.now() + 1000 * (answer.retryAfterS ?? 2 ** row.refusals);
      this.#apply(upload, { kind: "requeue" });
      this.#queue.unshift(upload);
      return;
    }
    this.#apply(upload, { kind: "answer", ...answer });
    if (upload.state.phase === "checking") void this.#ask(upload);
  }

  // ---- what the service says

  /** An event of the shared stream, or of one upload's own. */
  #event(frame) {
    const event = parse(frame.data);
    const id = event?.uploadId;
    if (typeof id !== "string") return;
    this.#heard.add(id);
    this.#learn(id, { kind: "event", event }, event);
  }

  #snapshot(state) {
    if (typeof state?.uploadId === "string") this.#learn(state.uploadId, { kind: "snapshot", state });
  }

  /** Something about an upload; one that this page did not start is taken in if somebody watches all. */
  #learn(id, input, event = null) {
    const upload = this.uploads.get(id);
    if (upload) return this.#apply(upload, input, event);
    if (!this.#watchers) return;
    const unknown = initial({ id, ...this.#recall(id) });
    const state = next(unknown, input);
    if (state !== unknown) this.#enter(state);
  }

  async #list(limit) {
    const answer = await this.#service.request("GET", "uploads", { params: { limit } }).catch(() => null);
    for (const state of listed(answer?.body)) this.#snapshot(state);
  }

  /** Ask for one upload's state; what the answer says of it is applied. Resolves to its status, or 0. */
  async #ask(upload, { headers, signal, timeoutMs } = {}) {
    const path = uploadPath(upload.id, "/progress");
    const answer = await this.#service.request("GET", path, { headers, signal, timeoutMs }).catch(() => null);
    if (!answer) return 0;
    const row = this.#rows.get(upload.id);
    if (row) row.etag = answer.etag ?? row.etag;
    if (answer.status === 200) this.#snapshot({ uploadId: upload.id, ...answer.body });
    if (answer.status === 404) this.#apply(upload, { kind: "unknown" });
    if (answer.status === 403) this.#refused(upload);
    return answer.status;
  }

  #refused(upload) {
    const error = { code: "forbidden", detail: "This upload is not yours to see." };
    this.#apply(upload, { kind: "failed", error });
  }

  /** Uploads that can still change and that the service has had a chance to hear of. */
  #open() {
    return [...this.uploads.values()].filter((upload) => !upload.ended && !this.#queue.includes(upload));
  }

  // ---- streams

  #planSoon() {
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      this.#plan();
    });
  }

  /** Open what should be open, close what should not. */
  #plan() {
    const wanted = this.#wanted();
    for (const [key, feed] of this.#feeds) {
      if (wanted.includes(key)) continue;
      this.#feeds.delete(key);
      feed.stop();
    }
    for (const key of wanted) {
      if (this.#feeds.has(key)) continue;
      const feed = key === ALL ? this.#feedOfAll() : this.#feedOfOne(key);
      this.#feeds.set(key, feed);
      feed.start();
    }
    this.#relink();
  }

  #wanted() {
    const open = [...this.uploads.values()].filter((upload) => !upload.ended);
    const mine = open.filter((upload) => this.#rows.get(upload.id).own);
    const watching = this.#watchers > 0 && !this.#asleep;
    const relevant = watching ? open : mine;
    if (this.#singles) return relevant.slice(0, SINGLE_STREAMS).map((upload) => upload.id);
    if (watching || relevant.length > 1) return [ALL];
    if (relevant.length === 0) return [];
    return this.#feeds.has(ALL) ? [ALL] : [relevant[0].id];
  }

  #feedOfAll() {
    return new Feed(this.#service, "uploads/progress", {
      onFrame: (frame) => this.#event(frame),
      onLink: (state) => {
        if (state === "live") this.#sweepSoon();
        this.#relink();
      },
      onRefused: () => {},
      read: ({ signal }) => this.#readAll({ signal }),
    });
  }

  #feedOfOne(id) {
    const upload = this.uploads.get(id);
    return new Feed(this.#service, uploadPath(id, "/progress"), {
      onFrame: (frame) => this.#event(frame),
      onLink: (state) => {
        if (state === "live") this.#sweepSoon();
        this.#relink();
      },
      onRefused: (status) => (status === 403 ? this.#refused(upload) : void this.#ask(upload)),
      read: ({ wait, signal }) => this.#readOne(upload, { wait, signal }),
    });
  }

  async #readAll({ signal }) {
    const params = { limit: LIST_LIMIT };
    const answer = await this.#service.request("GET", "uploads", { params, signal }).catch(() => null);
    if (!answer) return "away";
    if (answer.status === 401 || answer.status === 403) return "denied";
    if (answer.status === 404) {
      this.#singles = true;
      this.#planSoon();
      return "away";
    }
    if (answer.status !== 200) return "away";
    const states = listed(answer.body);
    for (const state of states) this.#snapshot(state);
    const seen = new Set(states.map((state) => state.uploadId));
    for (const upload of this.#open()) if (!seen.has(upload.id)) await this.#ask(upload, { signal });
    return "ok";
  }

  async #readOne(upload, { wait, signal }) {
    const { etag } = this.#rows.get(upload.id) ?? {};
    const headers = etag ? { "If-None-Match": etag } : {};
    if (wait) headers.Prefer = "wait=25";
    const status = await this.#ask(upload, { headers, signal, timeoutMs: wait ? 40_000 : undefined });
    if (status === 200) return "changed";
    if (status === 304 || status === 404) return "ok";
    return status === 401 || status === 403 ? "denied" : "away";
  }

  /**
   * The shared stream tells what is open or ended lately, and a single one is silent about an upload
   * that never arrived: whoever was not mentioned is asked about.
   */
  #sweepSoon() {
    this.#heard.clear();
    setTimeout(async () => {
      for (const upload of this.#open()) {
        if (!this.#heard.has(upload.id) && upload.state.phase !== "sending") await this.#ask(upload);
      }
    }, SWEEP_MS);
  }

  #linkFor(id) {
    return (this.#feeds.get(ALL) ?? this.#feeds.get(id))?.state ?? "idle";
  }

  #relink() {
    for (const upload of this.uploads.values()) upload.relink(upload.ended ? "idle" : this.#linkFor(upload.id));
    const states = [...this.#feeds.values()].map((feed) => feed.state);
    const link = LINKS.find((state) => states.includes(state)) ?? "idle";
    if (link === this.#link) return;
    this.#link = link;
    this.#linkObservers.notify(link);
  }

  // ---- the page comes and goes

  #listenToPage() {
    const { signal } = this.#listening;
    const on = (target, type, act) => target?.addEventListener?.(type, act, { signal });
    const wake = (options) => this.#feeds.forEach((feed) => feed.wake(options));
    let hidden = null;
    on(globalThis.document, "visibilitychange", () => {
      clearTimeout(hidden);
      if (document.hidden) {
        hidden = setTimeout(() => this.#sleep(true), HIDDEN_MS);
        return;
      }
      this.#sleep(false);
      wake();
    });
    on(globalThis, "online", () => wake({ changed: true }));
    on(globalThis, "offline", () => this.#feeds.forEach((feed) => feed.lost()));
    on(globalThis, "pageshow", ({ persisted }) => persisted && wake({ changed: true }));
  }

  #sleep(asleep) {
    if (this.#asleep === asleep) return;
    this.#asleep = asleep;
    this.#plan();
  }
}

/** The worst first: one word for several streams. */
const LINKS = ["denied", "reconnecting", "polling", "connecting", "live"];

function listed(body) {
  const rows = Array.isArray(body) ? body : (body?.uploads ?? []);
  return Array.isArray(rows) ? rows : [];
}

function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null; // not one of ours; a stream goes on after it
  }
}
