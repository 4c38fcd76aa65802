/**
 * Every word the panel says, by code, so that all of it can be translated; and numbers with units in
 * the reader's language. A text may hold `{n}` and the like; one that depends on a number is an
 * object by plural category (Intl.PluralRules), for `inLine` by that of ordinals.
 */

/**
 * @import { UploadFailure, UploadState } from "../index.js"
 * @import { PanelTexts } from "../panel.js"
 *
 * @typedef {string | ({ other: string } & Record<string, string>)} Text
 * @typedef {typeof DEFAULTS} Defaults
 * @typedef {{
 *   [K in keyof Defaults]:
 *     Defaults[K] extends string ? string : Defaults[K] extends { other: string } ? Text : Record<string, string>
 * }} Texts
 * @typedef {Record<string, string | number | undefined>} Values
 * @typedef {(text: Text, values: Values) => string} Say
 */

const DEFAULTS = Object.freeze({
  lang: "en",
  label: "Upload progress",
  minimize: "Minimize",
  restore: "Show",
  dismissAll: "Close the list",
  cancel: "Cancel {name}",
  pause: "Pause {name}",
  resume: "Go on with {name}",
  goOn: "Choose {name} again to go on at {percent}",
  retry: "Retry {name}",
  dismiss: "Dismiss {name}",
  unnamed: "Upload {id}",
  overall: "All uploads",
  active: { one: "Uploading {n} file", other: "Uploading {n} files" },
  working: { one: "Processing {n} file", other: "Processing {n} files" },
  settled: { one: "{n} upload finished", other: "{n} uploads finished" },
  stopped: { one: "{n} upload cancelled", other: "{n} uploads cancelled" },
  trouble: { one: "{n} upload with a problem", other: "{n} uploads with a problem" },
  sendFiles: { one: "Send {n} file", other: "Send {n} files" },
  percent: "{n} percent",
  of: "{done} of {total}",
  counted: "{done} of {total}",
  speed: "{amount}/s",
  left: "{time} left",
  nextInLine: "Waiting, next in line",
  inLine: {
    one: "Waiting, {n}st in line",
    two: "Waiting, {n}nd in line",
    few: "Waiting, {n}rd in line",
    other: "Waiting, {n}th in line",
  },
  starts: "starts in about {time}",
  startsSoon: "starts within a minute",
  startsUnknown: "no estimate yet",
  announce: "{name}: {text}",
  summary: "{active} in progress, {done} finished, {trouble} with problems",
  rest: { one: "and {n} more", other: "and {n} more" },
  stageDone: "{stage} is done",
  link: {
    connecting: "Connecting…",
    reconnecting: "Connection lost. Reconnecting…",
    polling: "Live updates are blocked here. Checking every few seconds.",
    denied: "Your session has ended. Sign in again to see progress.",
  },
  phase: {
    waiting: "Waiting",
    sending: "Uploading",
    checking: "Checking what has arrived…",
    cancelling: "Cancelling…",
    paused: "Paused",
    away: "Waiting for the network",
    review: "Waiting for a person to look at it",
    done: "Done",
    refused: "Not accepted",
    failed: "Failed",
    cancelled: "Cancelled",
  },
  stage: {
    receiving: "Uploading",
    file_received: "Stored",
    validating: "Validating",
    analyzing: "Analyzing",
    moderating: "Moderating",
    processing: "Processing",
    finalizing: "Finalizing",
    complete: "Done",
  },
  error: {
    network: "The connection was lost before the whole file had arrived.",
    client_disconnected: "The connection was lost before the whole file had arrived.",
    server_lost: "The service restarted before the whole file had arrived.",
    receive_timeout: "The connection was too slow or stopped.",
    unavailable: "The service cannot do this right now. Try again in a moment.",
    unauthenticated: "Sign in again, then retry.",
    forbidden: "You are not allowed to do this.",
    unknown_upload: "The service no longer knows this upload.",
  },
  /** Built-in sentences by `messageKey`; what is not here is shown as the service says it. */
  message: {},
  drop: {
    drop: "Drop files here",
    dropOne: "Drop a file here",
    add: "Add files",
    addOne: "Add a file",
    choose: "Choose files",
    chooseOne: "Choose a file",
    folder: "Choose a folder",
    clear: "Remove all",
    remove: "Remove {name}",
    accepted: "{types}, up to {size} each",
    image: "pictures",
    video: "video",
    audio: "audio",
    application: "documents",
    any: "any kind of file",
    too_large: "{name} is larger than {size}.",
    rejected_type: "{name} is of a kind that is not accepted. Accepted: {accepted}.",
    empty_file: "{name} is empty.",
  },
});

/** @type {Texts} */
export const TEXTS = DEFAULTS;

/**
 * `base` with the page's own over it, table by table.
 * @param {PanelTexts} [own]
 * @param {Texts} [base]
 * @returns {Texts}
 */
export function mergeTexts(own = {}, base = TEXTS) {
  return {
    ...base,
    ...own,
    link: { ...base.link, ...own.link },
    phase: { ...base.phase, ...own.phase },
    stage: { ...base.stage, ...own.stage },
    error: { ...base.error, ...own.error },
    message: { ...base.message, ...own.message },
    drop: { ...base.drop, ...own.drop },
  };
}

/**
 * `text` with its `{holes}` filled; `values.n` chooses the plural form where there are several.
 * @param {Text} text
 * @param {Values} [values]
 * @param {Intl.PluralRuleType} [type]
 */
export function fill(text, values = {}, lang = "en", type = "cardinal") {
  const form =
    typeof text === "string"
      ? text
      : (text[new Intl.PluralRules(lang, { type }).select(Number(values.n))] ?? text.other);
  return form.replace(/\{(\w+)\}/g, (hole, name) => String(values[name] ?? hole));
}

/**
 * What the service says of the work, in the reader's language where it is known.
 * @param {Pick<Texts, "message">} texts
 * @param {Pick<UploadState, "message" | "messageKey" | "messageArgs">} state
 */
export function messageText({ message }, state) {
  const text = message[state.messageKey ?? ""];
  return text ? fill(text, state.messageArgs) : state.message;
}

/**
 * An error in words: a text for its code, else what the service said about it.
 * @param {Pick<Texts, "error" | "phase">} texts
 * @param {UploadFailure | null} error
 */
export function errorText(texts, error, message = "") {
  return texts.error[error?.code ?? ""] || error?.detail || message || texts.phase.failed;
}

/**
 * Whole percents for people: "39%", or "39 %" where that is how it is written.
 * @param {number} percent
 */
export function formatPercent(percent, lang = "en") {
  return new Intl.NumberFormat(lang, { style: "percent" }).format(Math.floor(percent) / 100);
}

const SIZES = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

/**
 * Bytes for people: decimal units, as file managers and networks count.
 * @param {number} bytes
 */
export function formatBytes(bytes, lang = "en") {
  const power = bytes < 1000 ? 0 : Math.min(SIZES.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  if (power === 0) return unit(value, "byte", lang, 0, "long");
  return unit(value, SIZES[power], lang, value < 99.95 ? 1 : 0);
}

/**
 * Seconds for people, in the largest unit that fits.
 * @param {number} seconds
 */
export function formatSeconds(seconds, lang = "en") {
  if (seconds < 60) return unit(Math.max(1, Math.round(seconds)), "second", lang, 0);
  if (seconds < 3600) return unit(Math.round(seconds / 60), "minute", lang, 0);
  return unit(seconds / 3600, "hour", lang, 1);
}

/**
 * @param {number} value
 * @param {string} name
 * @param {string} lang
 * @param {number} digits
 * @param {"short" | "long"} [display]
 */
function unit(value, name, lang, digits, display = "short") {
  /** @type {Intl.NumberFormatOptions} */
  const options = { style: "unit", unit: name, unitDisplay: display, maximumFractionDigits: digits };
  return new Intl.NumberFormat(lang, options).format(value);
}
