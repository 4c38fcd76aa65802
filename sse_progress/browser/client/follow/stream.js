/**
 * One event stream, opened once: no reconnect, no state. EventSource where the browser's own
 * credentials do; `fetch` with an Authorization header where there is a token, since a token does
 * not belong into an address.
 */

/**
 * @import { Frame } from "./decoder.js"
 * @import { Service } from "../service/service.js"
 *
 * @typedef {{ lastEventId: string, onFrame: (frame: Frame) => void, onEnd: (end: { status: number }) => void }}
 *   StreamOptions
 */

import { Decoder } from "./decoder.js";

/**
 * Open `path` of `service`.
 *
 * `onFrame({event, data, id})` hears every frame, also named heartbeats. `onEnd({status})` is called
 * once if the stream ends by itself; `status` is the HTTP status of a refusal, 200 for a stream that
 * was cut or closed, 0 where the browser does not tell. Returns a function that closes it silently.
 *
 * @param {Service} service
 * @param {string} path
 * @param {StreamOptions} options
 * @returns {() => void}
 */
export function openStream(service, path, { lastEventId, onFrame, onEnd }) {
  const params = { heartbeat: "event" };
  return service.hasToken || typeof EventSource === "undefined"
    ? withFetch(service, service.address(path, params), { lastEventId, onFrame, onEnd })
    : withEventSource(service, service.address(path, { ...params, lastEventId }), { onFrame, onEnd });
}

/**
 * @param {Service} service
 * @param {string} address
 * @param {Omit<StreamOptions, "lastEventId">} options
 */
function withEventSource(service, address, { onFrame, onEnd }) {
  const source = new EventSource(address, { withCredentials: service.credentials === "include" });
  source.onmessage = ({ data, lastEventId }) => onFrame({ event: "message", data, id: lastEventId });
  source.addEventListener("heartbeat", ({ data }) => onFrame({ event: "heartbeat", data, id: "" }));
  source.onerror = () => {
    // EventSource would come back by itself, every 2 s and for ever; our back-off is kinder.
    const refused = source.readyState === EventSource.CLOSED;
    source.close();
    onEnd({ status: refused ? 0 : 200 });
  };
  return () => source.close();
}

/**
 * @param {Service} service
 * @param {string} address
 * @param {StreamOptions} options
 */
function withFetch(service, address, { lastEventId, onFrame, onEnd }) {
  const abort = new AbortController();
  read(service, address, { lastEventId, onFrame, signal: abort.signal }).then(
    (status) => abort.signal.aborted || onEnd({ status }),
    () => abort.signal.aborted || onEnd({ status: 0 }),
  );
  return () => abort.abort();
}

/**
 * @param {Service} service
 * @param {string} address
 * @param {Omit<StreamOptions, "onEnd"> & { signal: AbortSignal }} options
 * @returns {Promise<number>} the HTTP status
 */
async function read(service, address, { lastEventId, onFrame, signal }) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "text/event-stream" };
  if (lastEventId) headers["Last-Event-ID"] = lastEventId;
  const response = await fetch(address, {
    headers: await service.headers(headers),
    credentials: service.credentials,
    cache: "no-store",
    signal,
  });
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    return response.status;
  }
  const decoder = new Decoder();
  const text = new TextDecoder("utf-8", { ignoreBOM: true });
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done || signal.aborted) return 200;
    for (const frame of decoder.feed(text.decode(value, { stream: true }))) {
      if (!signal.aborted) onFrame(frame);
    }
  }
}
