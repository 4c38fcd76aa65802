/** What came out of an upload: picture, verdict, facts and files, from its `media`. */

/**
 * @import { Client, Media, MediaFile } from "../client/index.js"
 * @typedef {Pick<Client, "url" | "hasToken" | "headers">} Access
 */

import { formatBytes, formatSeconds } from "../client/text/texts.js";
import { element } from "./dom.js";
import { lang, say, words } from "./speech.js";
import { uncheckedText } from "./unchecked.js";
import { numberText, typeName, wordText } from "./words.js";

/** What people look for first; the rest of what a stage found is a click away. */
const FIRST = [
  "type",
  "size",
  "dimensions",
  "duration",
  "pages",
  "title",
  "format",
  "container",
  "codec",
  "frameRate",
  "camera",
  "language",
  "words",
  "lines",
  "rows",
  "columns",
  "entries",
  "sampleRate",
  "channels",
  "encoding",
];
const DETAILS = new Set([
  "width",
  "height",
  "contentType",
  "kind",
  "orientation",
  "mode",
  "perceptualHash",
  "hasAlpha",
  "readPages",
  "pageWidthPt",
  "pageHeightPt",
  "pixelFormat",
  "variableFrameRate",
  "bitRate",
  "keyFrames",
]);
const FACTS = 8;

/**
 * The part of a card that appears when an upload is complete.
 * @param {Media} media
 * @param {Access} client
 */
export function outcome(media, client) {
  const facts = element("div", {}, [
    verdict(media.moderation),
    factList(media),
    files(media, client),
    everything(media),
  ]);
  const whole = element("div", { className: "outcome" }, [facts]);
  void pictureOf(media, client).then((source) => {
    if (!source) return;
    const image = element("img", { src: source, alt: say(words.preview, { name: media.filename }) });
    image.decode().then(
      () => {
        whole.classList.add("pictured");
        whole.prepend(element("div", { className: "thumbnail" }, [image]));
      },
      () => {},
    );
  });
  return whole;
}

/**
 * Address of a derived picture; with a token it is fetched, since an <img> sends no header.
 * @param {Media} media
 * @param {Access} client
 */
export async function pictureOf(media, client) {
  const pictures = (media.files ?? []).filter(({ contentType }) => contentType?.startsWith("image/"));
  const picture = pictures.find(({ name }) => /thumb/i.test(name)) ?? pictures[0];
  if (!picture) return null;
  const source = address(picture.url, client);
  if (!client.hasToken) return source;
  const response = await fetch(source, { headers: await client.headers() }).catch(() => null);
  return response?.ok ? URL.createObjectURL(await response.blob()) : null;
}

/**
 * @param {string} url
 * @param {Access} client
 */
function address(url, client) {
  return new URL(url, client.url).href;
}

/** @param {Media["moderation"]} moderation */
function verdict(moderation) {
  if (!moderation?.verdict) return "";
  const review = moderation.verdict === "review";
  const missing = moderation.notChecked ?? [];
  return element("p", { className: "verdict" }, [
    badge(words.verdict[review ? "review" : "approved"], moderation.verdict),
    missing.length ? say(words.notChecked, { list: missing.map(notChecked).join(", ") }) : "",
  ]);
}

/** @param {string} note */
function notChecked(note) {
  return lang === "en" ? humanize(note) : uncheckedText(note, lang);
}

/**
 * @param {string} text
 * @param {string} value
 */
function badge(text, value) {
  const strong = element("strong", { textContent: text });
  strong.dataset.verdict = value;
  return strong;
}

/** @param {Media} media */
function factList(media) {
  /** @type {Record<string, string>} */
  const facts = {
    type: typeName(media.contentType),
    size: formatBytes(media.size, lang),
    ...dimensions(media.analysis),
    ...plain(media.analysis),
  };
  const sorted = Object.entries(facts).sort(([a], [b]) => place(a) - place(b));
  const rows = sorted.slice(0, FACTS).map(([name, value]) => row(words.facts[name] ?? humanize(name), value));
  if (media.sha256) rows.push(row("SHA-256", media.sha256, "code"));
  return element("dl", { className: "facts" }, rows);
}

/** @param {string} name */
function place(name) {
  const at = FIRST.indexOf(name);
  return at < 0 ? FIRST.length : at;
}

/**
 * @param {string} name
 * @param {string} value
 */
function row(name, value, className = "") {
  const term = element("dt", { textContent: name });
  return element("div", { className }, [term, element("dd", { textContent: value, title: value })]);
}

/**
 * @param {Record<string, unknown>} [analysis]
 * @returns {Record<string, string>}
 */
function dimensions({ width, height } = {}) {
  return width && height ? { dimensions: `${width} × ${height}` } : {};
}

/**
 * The facts that fit on a line, whatever a stage has found.
 * @param {Record<string, unknown>} [analysis]
 */
function plain(analysis = {}) {
  /** @type {Record<string, string>} */
  const facts = {};
  for (const [name, value] of Object.entries(analysis)) {
    if (DETAILS.has(name) || value === null || value === "") continue;
    if (/^duration/i.test(name) && typeof value === "number") facts.duration = formatSeconds(value, lang);
    else if (typeof value === "boolean") facts[name] = value ? words.yes : words.no;
    else if (typeof value === "number") facts[name] = numberText(name, value);
    else if (typeof value === "string" && value.length <= 80) facts[name] = wordText(name, value);
  }
  return facts;
}

/**
 * `durationSeconds` → `Duration seconds`.
 * @param {string} name
 */
function humanize(name) {
  const words = name.replace(/_/g, " ").replace(/([a-z\d])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`);
  return words[0].toUpperCase() + words.slice(1);
}

/**
 * @param {Media} media
 * @param {Access} client
 */
function files(media, client) {
  const links = [{ name: words.original, size: media.size, url: media.url }, ...(media.files ?? [])];
  return element(
    "ul",
    { className: "files" },
    links
      .filter(({ url }) => url)
      .map((file) => {
        const link = element("a", { href: address(file.url, client) }, [
          `${file.name} `,
          element("small", { textContent: formatBytes(file.size, lang) }),
        ]);
        link.addEventListener("click", (event) => void download(event, file, client));
        return element("li", {}, [link]);
      }),
  );
}

/**
 * With a token, a plain link would be refused: fetch it and hand it over.
 * @param {Event} event
 * @param {Pick<MediaFile, "name" | "url">} file
 * @param {Access} client
 */
async function download(event, file, client) {
  if (!client.hasToken) return;
  event.preventDefault();
  const response = await fetch(address(file.url, client), { headers: await client.headers() });
  if (!response.ok) return;
  const source = URL.createObjectURL(await response.blob());
  element("a", { href: source, download: file.name }).click();
  setTimeout(() => URL.revokeObjectURL(source), 60_000);
}

/** @param {Media} media */
function everything(media) {
  return element("details", {}, [
    element("summary", { textContent: words.everything }),
    element("pre", { textContent: JSON.stringify(media, null, 2), tabIndex: 0 }),
  ]);
}
