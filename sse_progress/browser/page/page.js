/**
 * The page at `/`: takes files, shows every upload of this caller with its stages and outcome.
 *
 * Composes the parts: uploads are kept by the client module, a card draws one of them.
 */

/** @import { Link, Upload } from "../client/index.js" */
/** @import { UploadPanel } from "../client/panel.js" */
import { Client, askToNotify, notifyOf } from "../client/index.js";
import { kindsOf } from "../client/state/kinds.js";
import { overview } from "../client/panel/overview.js";
import "../client/panel.js";
import { formatBytes, formatPercent } from "../client/text/texts.js";
import { clear } from "./cleared.js";
import { one } from "./dom.js";
import { askForToken, givenToken, onToken, signedIn } from "./session.js";
import { Shelf } from "./shelf.js";
import { showSnippets } from "./snippets.js";
import { lang, say, speak, texts, words } from "./speech.js";

/** Milliseconds between two changes of the title. */
const TITLE_MS = 250;

const panel = /** @type {UploadPanel} */ (one("panel"));
const picker = /** @type {HTMLInputElement} */ (one("files"));
const client = new Client({
  url: new URL("..", import.meta.url).href,
  token: givenToken(),
});

const shelf = new Shelf(client, {
  // What the cards show is not said twice.
  onSight: () => panel.classList.toggle("behind", shelf.inSight),
});
/** @type {ReturnType<typeof setTimeout> | undefined} */
let titling;

speak();
panel.client = client;
client.observe(show);
client.observeLink(showLink);
kindsOf(client).observe(() => shelf.cards.forEach((card) => card.drawSoon()));
void client.watch({ limit: 1 });
void shelf.begin();

// ---- taking files

one("choose").addEventListener("click", () => picker.click());
picker.addEventListener("change", () => {
  take(picker.files);
  picker.value = "";
});
document.addEventListener("paste", ({ clipboardData }) => take(clipboardData?.files));

let depth = 0;
document.addEventListener("dragenter", (event) => hasFiles(event) && over((depth += 1)));
document.addEventListener("dragleave", (event) => hasFiles(event) && over((depth -= 1)));
document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
document.addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  over((depth = 0));
  take(event.dataTransfer?.files);
});

/** @param {FileList | null | undefined} files */
function take(files) {
  for (const file of files ?? []) client.upload(file);
}

/** @param {DragEvent} event */
function hasFiles({ dataTransfer }) {
  return [...(dataTransfer?.types ?? [])].includes("Files");
}

/** @param {number} deep */
function over(deep) {
  one("drop").classList.toggle("over", deep > 0);
}

addEventListener("beforeunload", (event) => {
  const leaving = [...client.uploads.values()].some(({ file, ended, state }) => {
    return file && !ended && ["waiting", "sending"].includes(state.phase);
  });
  if (leaving) event.preventDefault(); // what is still here would be lost; what is there goes on
});

// ---- showing uploads

/** @param {Upload} upload */
function show(upload) {
  shelf.show(upload);
  if (upload.state.error?.code === "unauthenticated") askForToken();
  if (titling === undefined) titling = setTimeout(showTitle, TITLE_MS);
}

one("clear").addEventListener("click", () => {
  const ended = [...client.uploads.values()].filter((upload) => upload.ended);
  const ids = ended.map(({ id }) => id);
  clear(ids);
  for (const upload of ended) upload.forget();
  shelf.remove(ids);
  one("choose").focus();
});

function showTitle() {
  titling = undefined;
  const { percent } = overview([...client.uploads.values()].map(({ state }) => state));
  document.title = percent === null ? "sse_progress" : `${formatPercent(percent, lang)} · sse_progress`;
}

/** @param {Link} link */
function showLink(link) {
  one("link").dataset.state = link;
  one("link-text").textContent = words.link[link];
  if (link === "denied") askForToken();
  if (link !== "live") return;
  signedIn();
  void shelf.begin();
}

// ---- notifications, asked for by a click

notifyOf(client, { texts });
one("notify").hidden = globalThis.Notification?.permission !== "default";
one("notify").addEventListener("click", async () => {
  await askToNotify();
  one("notify").hidden = true;
  one("choose").focus();
});

// ---- what is accepted

void showLimits();

/** The size that the service accepts, where it says so. */
async function showLimits() {
  const response = await fetch(new URL("config", client.url)).catch(() => null);
  const config = response?.ok ? await response.json() : null;
  const bytes = config?.limits?.maxUploadBytes;
  if (bytes) one("limit").textContent = say(words.limit, { size: formatBytes(bytes, lang) });
}

onToken((token) => {
  client.token = token;
  showSnippets(client);
  void client.watch({ limit: 1 });
  void shelf.begin();
});

// ---- for developers

showSnippets(client);
