/**
 * Every upload that a Client knows: its state, whether it is the client's own, and what the service's
 * news mean for it. It sends nothing: requests and streams are in other modules.
 */

/**
 * @import { Frame } from "../follow/decoder.js"
 * @import { UploadOptions } from "./client.js"
 * @import { Link, ProgressEvent, UploadState } from "../index.js"
 * @import { Turn } from "../send/resumable.js"
 * @import { Input, Snapshot } from "../state/state.js"
 * @import { Actions } from "./upload.js"
 *
 * @typedef {Extract<Input, { kind: "event" | "snapshot" }>} News What the service says of an upload.
 *
 * @typedef {object} Row What only the client needs to know of an upload.
 * @property {boolean} own sent or asked for here
 * @property {UploadOptions} options
 * @property {AbortController} abort of its body
 * @property {Turn | null} turn whether it may be sent now, if it goes in parts
 * @property {boolean} unanswered its POST has no answer yet
 * @property {{ input: News, event: ProgressEvent | null } | null} held
 *
 * @typedef {object} Owner
 * @property {Actions} actions of its uploads
 * @property {(id: string) => Link} linkOf
 * @property {() => void} onChange what should be followed may have changed
 * @property {(id: string) => void} onHeard an event of it came
 * @property {(upload: Upload) => boolean} waits its body has not had its turn
 */

import { forgetBegun, recallBegun } from "../send/begun.js";
import { recallName } from "./names.js";
import { Observers } from "../service/observers.js";
import { initial, next } from "../state/state.js";
import { Upload } from "./upload.js";

export class Known {
  /**
   * By id, in the order in which they became known.
   * @type {Map<string, Upload>}
   */
  uploads = new Map();
  /** @type {Observers<[upload: Upload, event: ProgressEvent | null]>} */
  observers = new Observers();
  /** How many ask for everything of this caller's. */
  watchers = 0;

  #owner;
  #remember;
  /** @type {Map<string, Row>} by upload id */
  #rows = new Map();

  /**
   * `remember`: names of files that were sent from this browser are known.
   * @param {Owner} owner
   * @param {{ remember: boolean }} options
   */
  constructor(owner, { remember }) {
    this.#owner = owner;
    this.#remember = remember;
  }

  // ---- coming and going

  /**
   * @param {UploadState} state
   * @param {{ file?: Blob | null, options?: UploadOptions, own?: boolean, event?: ProgressEvent | null }} [about]
   */
  enter(state, { file = null, options = {}, own = false, event = null } = {}) {
    const upload = new Upload(state, { file, actions: this.#owner.actions });
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
    upload.relink(upload.ended ? "idle" : this.#owner.linkOf(state.id));
    this.observers.notify(upload, event);
    this.#owner.onChange();
    return upload;
  }

  /**
   * Take in an upload of which only the id is known.
   * @param {string} id
   */
  enterId(id) {
    return this.enter(this.#stranger(id));
  }

  /** @param {Upload} upload */
  row(upload) {
    return /** @type {Row} */ (this.#rows.get(upload.id));
  }

  /**
   * Its body is given up, whether or not it is known any more.
   * @param {Upload} upload
   */
  abort(upload) {
    this.#rows.get(upload.id)?.abort.abort();
  }

  /** @param {Upload} upload */
  forget(upload) {
    this.abort(upload);
    this.uploads.delete(upload.id);
    this.#rows.delete(upload.id);
    this.#owner.onChange();
  }

  /**
   * The id under which this file was begun, unless it is being sent from here or is over.
   * @param {string} root of the service
   * @param {Blob} file
   */
  begun(root, file) {
    const id = recallBegun(root, file);
    const upload = id === null ? undefined : this.uploads.get(id);
    return upload && (upload.ended || upload.file) ? null : id;
  }

  /**
   * Forget the upload that was only followed until now: the one that sends takes its place.
   * @param {string} id
   */
  letGo(id) {
    const followed = this.uploads.get(id);
    if (followed) this.forget(followed);
  }

  // ---- what happens to them

  /**
   * @param {Upload} upload
   * @param {Input} input
   * @param {ProgressEvent | null} [event]
   */
  apply(upload, input, event = null) {
    const before = upload.state;
    const after = next(before, input);
    if (after === before) return;
    upload.become(after, event);
    this.observers.notify(upload, event);
    if (!upload.ended) return;
    forgetBegun(upload.id);
    if (after.phase !== "done") this.abort(upload);
    upload.relink("idle");
    this.#owner.onChange();
  }

  /**
   * A frame of a stream.
   * @param {Frame} frame
   */
  event(frame) {
    const event = parse(frame.data);
    if (frame.event === "heartbeat") return this.#places(event?.waiting);
    if (typeof event?.uploadId !== "string") return;
    this.#owner.onHeard(event.uploadId);
    this.#learn(event.uploadId, { kind: "event", event }, event);
  }

  /**
   * A heartbeat's places in the queue.
   * @param {unknown} waiting
   */
  #places(waiting) {
    for (const { uploadId, queuePosition, startsInSeconds = null } of Array.isArray(waiting) ? waiting : []) {
      const upload = this.uploads.get(uploadId);
      if (upload) this.apply(upload, { kind: "place", queuePosition, startsInSeconds });
    }
  }

  /**
   * A state that was read as JSON.
   * @param {Snapshot} state
   */
  snapshot(state) {
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
    if (upload) return this.#hold(upload, input, event) || this.apply(upload, input, event);
    if (!this.watchers) return;
    const stranger = this.#stranger(id);
    const state = next(stranger, input);
    if (state !== stranger) this.enter(state, { event });
  }

  /**
   * A completion that comes before the POST's answer may be that of an older upload under the same id,
   * which the answer will tell: nothing is shown as done before.
   * @param {Upload} upload
   * @param {News} input
   * @param {ProgressEvent | null} event
   */
  #hold(upload, input, event) {
    const row = this.row(upload);
    const said = input.kind === "event" ? input.event : input.state;
    const held = row.unanswered && said.stage === "complete";
    if (held) row.held = { input, event };
    return held;
  }

  /**
   * Its POST is answered: what was held is true.
   * @param {Upload} upload
   */
  release(upload) {
    const row = this.row(upload);
    row.unanswered = false;
    if (row.held) this.apply(upload, row.held.input, row.held.event);
  }

  // ---- for those who ask and follow

  /** Uploads that can still change and that the service has had a chance to hear of. */
  open() {
    return [...this.uploads.values()].filter((upload) => !upload.ended && !this.#owner.waits(upload));
  }

  /**
   * What should be followed; a page that is `asleep` gives up what is not its own.
   * @param {{ asleep: boolean }} how
   */
  wanted({ asleep }) {
    const open = [...this.uploads.values()].filter((upload) => !upload.ended);
    const mine = open.filter((upload) => this.row(upload).own);
    const everything = this.watchers > 0 && !asleep;
    return { everything, ids: (everything ? open : mine).map((upload) => upload.id) };
  }

  /** The connections may do something else now. */
  relink() {
    for (const upload of this.uploads.values()) {
      if (!upload.ended) upload.relink(this.#owner.linkOf(upload.id));
    }
  }

  /** @param {string} id */
  #stranger(id) {
    return initial({ id, ...((this.#remember && recallName(id)) || {}) });
  }
}

/** @param {string} data */
function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null; // not one of ours; a stream goes on after it
  }
}
