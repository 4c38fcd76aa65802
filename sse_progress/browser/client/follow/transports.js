/**
 * The ways in which events can come: an event stream, else a WebSocket. Polling needs neither, and is
 * what is left. Which one passed last, all feeds of a client share.
 */

/**
 * @import { Transport } from "../index.js"
 *
 * @typedef {"sse" | "ws"} Way
 */

import { UploadError } from "../service/errors.js";
import { fitsSocket, hasSockets, openSocket } from "./socket.js";
import { openStream } from "./stream.js";

/** @type {Readonly<Record<Transport, readonly Way[]>>} */
const ORDER = Object.freeze({ auto: ["sse", "ws"], sse: ["sse"], ws: ["ws"], poll: [] });

/** @type {Readonly<Record<Way, typeof openStream>>} */
export const OPENERS = Object.freeze({ sse: openStream, ws: openSocket });

export class Transports {
  #ways;
  /** @type {Way | null} */
  #passed = null;

  /**
   * Throws UploadError `unsupported` for `ws` where there are no WebSockets.
   * @param {Transport} [choice]
   */
  constructor(choice = "auto") {
    if (!Object.hasOwn(ORDER, choice)) throw new TypeError(`transport: ${choice} is none of ${known()}`);
    if (choice === "ws" && !hasSockets()) {
      throw new UploadError({ code: "unsupported", detail: "This runtime has no WebSocket." });
    }
    this.#ways = ORDER[choice].filter((way) => way === "sse" || hasSockets());
  }

  /**
   * What can bring the stream at `path`, the best first.
   * @param {string} path
   * @returns {Way[]}
   */
  for(path) {
    const fit = this.#ways.filter((way) => way === "sse" || fitsSocket(path));
    return fit.sort((one, other) => Number(other === this.#passed) - Number(one === this.#passed));
  }

  /**
   * Events came this way.
   * @param {Way} way
   */
  passed(way) {
    this.#passed = way;
  }
}

function known() {
  return Object.keys(ORDER).join(", ");
}
