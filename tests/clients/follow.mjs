/**
 * Follows one upload with a client that people use, and prints each journal event as a line of JSON.
 *
 *     node follow.mjs CLIENT URL
 *
 * It ends by itself after the terminal event.
 */

import { createRequire } from "node:module";

const require = createRequire(new URL("../js/package.json", import.meta.url));
const [client, url] = process.argv.slice(2);
const TERMINAL = ["complete", "error", "cancelled"];

/** Prints an event; true if it was the last. */
function take(id, data) {
  const event = JSON.parse(data);
  if (event.type === "connected") return false;
  console.log(JSON.stringify({ id, type: event.type, stage: event.stage }));
  return TERMINAL.includes(event.stage);
}

/** What react-native-sse uses of XMLHttpRequest, over fetch. */
class StreamingRequest {
  static UNSENT = 0;
  static OPENED = 1;
  static HEADERS_RECEIVED = 2;
  static LOADING = 3;
  static DONE = 4;
  readyState = 0;
  status = 0;
  responseText = "";
  #headers = {};
  #stop = new AbortController();

  open(method, address) {
    this.method = method;
    this.address = address;
  }

  setRequestHeader(name, value) {
    this.#headers[name] = String(value);
  }

  abort() {
    this.#stop.abort();
  }

  async send() {
    try {
      const answer = await fetch(this.address, { headers: this.#headers, signal: this.#stop.signal });
      this.status = answer.status;
      for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
        this.responseText += text;
        this.#change(StreamingRequest.LOADING);
      }
      this.#change(StreamingRequest.DONE);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#change(StreamingRequest.DONE); // the status stays, as it does in React Native
      this.onerror?.(error);
    }
  }

  #change(state) {
    this.readyState = state;
    this.onreadystatechange?.();
  }
}

const clients = {
  eventsource() {
    const { EventSource } = require("eventsource");
    const events = new EventSource(url);
    events.onmessage = ({ lastEventId, data }) => take(lastEventId, data) && events.close();
  },

  "launchdarkly-eventsource"() {
    const { EventSource } = require("launchdarkly-eventsource");
    const events = new EventSource(url, { initialRetryDelayMillis: 200, errorFilter: () => true });
    events.onmessage = ({ lastEventId, data }) => take(lastEventId, data) && events.close();
    events.onerror = () => {};
  },

  async "@microsoft/fetch-event-source"() {
    // Made for browsers: it looks at whether the page is visible.
    globalThis.window = globalThis;
    globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
    const { fetchEventSource } = require("@microsoft/fetch-event-source");
    const stop = new AbortController();
    await fetchEventSource(url, {
      signal: stop.signal,
      onmessage: ({ id, data }) => data && take(id, data) && stop.abort(),
      onclose() {
        throw new Error("cut: come again");
      },
      onerror: () => 200,
    });
  },

  "react-native-sse"() {
    globalThis.XMLHttpRequest = StreamingRequest; // as React Native's: text comes as it arrives
    const EventSource = require("react-native-sse").default;
    const events = new EventSource(url, { pollingInterval: 200 });
    events.addEventListener("message", ({ lastEventId, data }) => {
      if (data && take(lastEventId, data)) events.close();
    });
    events.addEventListener("error", () => {});
  },
};

await clients[client]();
