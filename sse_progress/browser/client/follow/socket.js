/**
 * One WebSocket that brings what one event stream would, opened once: no reconnect, no state. For
 * networks that hold streams back. Its token goes in a message, since it does not belong into an
 * address, and is renewed there before it runs out.
 */

/**
 * @import { Service } from "../service/service.js"
 * @import { StreamOptions } from "./stream.js"
 *
 * @typedef {ReturnType<typeof setTimeout> | undefined} Timer
 */

import { uploadOf } from "../service/paths.js";
import { expiryOf } from "../service/token.js";
import { HEARTBEAT_MS } from "../service/wire.js";

const ALL = "uploads/progress";
/** A token is renewed so long before its end, or halfway there if that is later. */
const RENEW_MS = 30_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** The event id is a message's first member; what is left is the event as streams have it. */
const ID = /^\{"id":"([^"\\]*)",/;

/** Whether this runtime has WebSockets: Node has from version 22 on. */
export function hasSockets() {
  return typeof globalThis.WebSocket === "function";
}

/**
 * Whether the stream at `path` can be had over a WebSocket: those of batches cannot.
 * @param {string} path
 */
export function fitsSocket(path) {
  return path === ALL || uploadOf(path) !== null;
}

/**
 * As openStream. `status` at its end is 204 or 403 where a stream would have been answered with
 * that, 200 for a connection that was cut or closed, else 0: why it was refused, JSON tells.
 *
 * @param {Service} service
 * @param {string} path
 * @param {StreamOptions} options
 * @returns {() => void}
 */
export function openSocket(service, path, options) {
  const connection = new Connection(service, path, options);
  void connection.open();
  return () => connection.close();
}

class Connection {
  #service;
  #uploadId;
  #options;
  #closed = false;
  #subscribed = false;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {string | null} */
  #token = null;
  /** @type {Timer} */
  #heartbeat;
  /** @type {Timer} */
  #renewal;

  /**
   * @param {Service} service
   * @param {string} path
   * @param {StreamOptions} options
   */
  constructor(service, path, options) {
    this.#service = service;
    this.#uploadId = uploadOf(path);
    this.#options = options;
  }

  async open() {
    try {
      this.#token = await this.#service.bearer();
      if (this.#closed) return;
      const socket = new WebSocket(this.#service.address("ws").replace(/^http/, "ws"));
      this.#socket = socket;
      socket.onopen = () => this.#token && this.#say({ type: "auth", token: this.#token });
      socket.onmessage = ({ data }) => this.#hear(data);
      socket.onclose = () => this.#end(this.#subscribed ? 200 : 0);
    } catch {
      this.#end(0); // a token function that failed, or a page that may not connect
    }
  }

  close() {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#renewal);
    this.#socket?.close();
  }

  /** @param {number} status */
  #end(status) {
    if (this.#closed) return;
    this.close();
    this.#options.onEnd({ status });
  }

  /** @param {object} message */
  #say(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** @param {string} text */
  #hear(text) {
    if (this.#closed) return;
    const id = ID.exec(text)?.[1] ?? "";
    const type = id ? "event" : typeOf(text);
    if (type === "event" || type === "progress" || type === "reset") {
      const data = id ? `{${text.slice(text.indexOf(",") + 1)}` : text;
      return this.#options.onFrame({ event: "message", data, id });
    }
    if (type === "connected") return this.#connected();
    if (type === "unsubscribed") return this.#end(STATUS[JSON.parse(text).reason] ?? 200);
    if (type === "error") return this.#end(JSON.parse(text).code === "forbidden" ? 403 : 0);
    if (type === "subscribed") this.#begun();
    // One of the service's own tells places in the queue.
    this.#options.onFrame({ event: "heartbeat", data: type === "heartbeat" ? text : "", id: "" });
  }

  /** Said after the handshake, and again for each token. */
  #connected() {
    if (this.#subscribed) return;
    this.#subscribed = true;
    const { lastEventId } = this.#options;
    const what = this.#uploadId === null ? { all: true } : { uploadId: this.#uploadId };
    this.#say({ type: "subscribe", ...what, ...(lastEventId && this.#uploadId ? { lastEventId } : {}) });
  }

  #begun() {
    this.#heartbeat = setInterval(() => this.#say({ type: "ping" }), HEARTBEAT_MS);
    this.#renewLater();
  }

  #renewLater() {
    const endsAt = this.#token && expiryOf(this.#token);
    if (!endsAt) return;
    const leftMs = endsAt - Date.now();
    const afterMs = Math.max(leftMs / 2, leftMs - RENEW_MS);
    if (afterMs > 0 && afterMs < LONGEST_TIMER_MS) {
      this.#renewal = setTimeout(() => void this.#renew(), afterMs);
    }
  }

  /** Without a newer token the service closes the connection, and the next one brings another. */
  async #renew() {
    const token = await this.#service.bearer().catch(() => null);
    if (this.#closed || !token || token === this.#token) return;
    this.#token = token;
    this.#say({ type: "auth", token });
    this.#renewLater();
  }
}

/**
 * What a stream would have been answered with.
 * @type {Record<string, number>}
 */
const STATUS = { ended: 204, forbidden: 403 };

/** @param {string} text */
function typeOf(text) {
  try {
    return JSON.parse(text).type;
  } catch {
    return null; // not one of ours; a connection goes on after it
  }
}
