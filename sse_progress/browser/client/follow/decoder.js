/**
 * A WHATWG event-stream parser (HTML Standard, "Server-sent events"): text in, events out.
 *
 * For streams that are read with `fetch`, where no EventSource does it. Accepts LF, CR and CRLF, a
 * leading BOM, and chunks cut anywhere.
 */

/** The longest line, UTF-16 units; the service's largest frame is 64 KiB. */
const LINE_LIMIT = 1024 * 1024;

/** @typedef {{ event: string, data: string, id: string }} Frame */

export class Decoder {
  /** The last complete frame's id; present it on reconnect. */
  lastEventId = "";
  /**
   * What the server last asked to wait before a reconnect, milliseconds; null if it did not.
   * @type {number | null}
   */
  retryMs = null;

  #rest = "";
  #skipLf = false;
  #first = true;
  /** @type {string[]} */
  #data = [];
  #event = "";
  #id = "";

  /**
   * Take in `text` and return the events that it completes, each `{event, data, id}`.
   * Throws RangeError for a line over the limit.
   * @param {string} text
   */
  feed(text) {
    const events = [];
    for (const line of this.#lines(text)) {
      const event = this.#take(line);
      if (event) events.push(event);
    }
    if (this.#rest.length > LINE_LIMIT) {
      throw new RangeError(`line is ${this.#rest.length} characters, limit ${LINE_LIMIT}`);
    }
    return events;
  }

  /** @param {string} text */
  #lines(text) {
    if (text === "") return [];
    if (this.#first && text[0] === "\uFEFF") text = text.slice(1);
    this.#first = false;
    // A CR at the very end may be half of a CRLF: it ends its line at once, and eats an LF to come.
    if (this.#skipLf && text[0] === "\n") text = text.slice(1);
    this.#skipLf = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? "";
    return lines;
  }

  /**
   * @param {string} line
   * @returns {Frame | null}
   */
  #take(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) this.retryMs = Number(value);
    return null;
  }

  #dispatch() {
    this.lastEventId = this.#id;
    const [data, event] = [this.#data, this.#event];
    this.#data = [];
    this.#event = "";
    return data.length ? { event: event || "message", data: data.join("\n"), id: this.#id } : null;
  }
}
