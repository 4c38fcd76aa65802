/**
 * Tells of ends by the browser's notifications, while no tab of this origin is visible. Permission is
 * asked for from a click, which browsers demand. One notification for all that ends together.
 */

/**
 * @import { Client } from "./client.js"
 * @import { Upload } from "./upload.js"
 * @import { PanelTexts } from "../panel.js"
 * @import { Texts } from "../text/texts.js"
 *
 * @typedef {"complete" | "error" | "cancelled"} End
 * @typedef {{ on?: End[], title?: (uploads: Upload[]) => string, texts?: PanelTexts, signal?: AbortSignal }} NotifyOptions
 */

import { fill, mergeTexts } from "../text/texts.js";

/** Milliseconds in which what ends is told of together. */
const TOGETHER_MS = 1_000;
const VISIBLE = "sse-progress visible";
/** Milliseconds within which a visible tab answers another one. */
const ANSWER_MS = 250;

/**
 * Ask for permission; call it from a click. Resolves to whether there is permission.
 * @returns {Promise<boolean>}
 */
export async function askToNotify() {
  if (!("Notification" in globalThis)) return false;
  if (Notification.permission === "default") return (await Notification.requestPermission()) === "granted";
  return Notification.permission === "granted";
}

/**
 * Notify of the uploads of `client` that end from now on, if there is permission by then; the function
 * that is returned ends it. Every tab calls it, so that they know of each other which can be seen. `on`:
 * which ends (all but `cancelled` without it); `title(uploads)`: words of your own.
 * @param {Client} client
 * @param {NotifyOptions} [options]
 */
export function notifyOf(client, { on = ["complete", "error"], title, texts: own, signal } = {}) {
  const texts = mergeTexts(own);
  /** @type {Map<string, Upload>} */
  const ended = new Map();
  /** @type {Set<string>} */
  const open = new Set();
  const visible = new VisibleTabs();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const tell = async () => {
    timer = undefined;
    const uploads = [...ended.values()];
    ended.clear();
    if (await visible.some()) return;
    await show(title?.(uploads) ?? words(uploads, texts), uploads);
  };
  const stop = client.observe((upload) => {
    if (!upload.ended) return void open.add(upload.id);
    const end = endOf(upload);
    if (!open.delete(upload.id) || !on.includes(end)) return; // it was over before
    ended.set(upload.id, upload);
    timer ??= setTimeout(() => void tell(), TOGETHER_MS);
  });
  for (const upload of client.uploads.values()) if (!upload.ended) open.add(upload.id);
  const end = () => {
    stop();
    visible.close();
    clearTimeout(timer);
  };
  signal?.addEventListener("abort", end, { once: true });
  return end;
}

/** Whether this tab, or another one of this origin, can be seen. */
class VisibleTabs {
  #channel = globalThis.BroadcastChannel ? new BroadcastChannel(VISIBLE) : null;
  #answered = () => {};

  constructor() {
    this.#channel?.addEventListener("message", ({ data }) => {
      if (data === "visible") this.#answered();
      else if (!document.hidden) this.#channel?.postMessage("visible");
    });
  }

  /** @returns {Promise<boolean>} */
  some() {
    if (!document.hidden) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.#answered = () => resolve(true);
      setTimeout(() => resolve(false), ANSWER_MS);
      this.#channel?.postMessage("who is visible?");
    });
  }

  close() {
    this.#channel?.close();
  }
}

/**
 * @param {Upload} upload
 * @returns {End}
 */
function endOf({ state }) {
  if (state.phase === "done") return "complete";
  return state.phase === "cancelled" ? "cancelled" : "error";
}

/**
 * "photo.jpg: Done", or "3 uploads finished · 1 upload with a problem".
 * @param {Upload[]} uploads
 * @param {Texts} texts
 */
function words(uploads, texts) {
  const [one] = uploads;
  if (uploads.length === 1) {
    const name = one.state.filename ?? fill(texts.unnamed, { id: one.id.slice(-8) });
    return fill(texts.announce, { name, text: texts.phase[one.state.phase] });
  }
  /** @type {["settled" | "trouble" | "stopped", End][]} */
  const rows = [
    ["settled", "complete"],
    ["trouble", "error"],
    ["stopped", "cancelled"],
  ];
  return rows
    .map(([text, end]) => [text, uploads.filter((upload) => endOf(upload) === end).length])
    .filter(([, n]) => n)
    .map(([text, n]) => fill(texts[/** @type {"settled"} */ (text)], { n: Number(n) }, texts.lang))
    .join(" · ");
}

/**
 * By the page's service worker where it has one, since Chrome on Android and iOS demand it. Several tabs
 * of one page tell the same end: the tag makes one notification of it.
 * @param {string} title
 * @param {Upload[]} uploads
 */
async function show(title, uploads) {
  if (globalThis.Notification?.permission !== "granted") return;
  const tag = uploads
    .map(({ id }) => id)
    .sort()
    .join();
  const worker = await navigator.serviceWorker?.getRegistration().catch(() => undefined);
  if (worker) return worker.showNotification(title, { tag });
  try {
    const shown = new Notification(title, { tag });
    shown.onclick = () => {
      focus();
      shown.close();
    };
  } catch {
    // Chrome on Android without a service worker
  }
}
