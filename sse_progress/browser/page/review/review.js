/** The page at `/review`: one upload at a time for a person who decides, by mouse or by keys. */

/** @import { Decision, Review } from "./desk.js" */
import { Service } from "../../client/service/service.js";
import { formatBytes } from "../../client/text/texts.js";
import { COUNTED, Desk, LEASE_S } from "./desk.js";
import { element, one } from "../dom.js";
import { words } from "./words.js";
import { seen } from "./seen.js";
import { askForToken, givenToken, onToken, signedIn } from "../session.js";
import { lang, say, speak } from "../speech.js";
import { uncheckedText } from "../unchecked.js";
import { typeName } from "../words.js";

const KEYS_KEY = "sse-progress:review-keys";
const LOOK_MS = 5_000;
const COUNT_MS = 30_000;

const service = new Service({ url: new URL("../..", import.meta.url).href, token: givenToken() });
const desk = new Desk(service);
const reason = /** @type {HTMLTextAreaElement} */ (one("reason"));
const number = new Intl.NumberFormat(lang, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const keys = /** @type {HTMLInputElement} */ (one("keys"));
const buttons = /** @type {HTMLButtonElement[]} */ (["approve", "refuse", "next"].map(one));

/** @type {Review | null} */
let shown = null;
let free = () => {};
let busy = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

speak(words.page);
onToken((token) => {
  service.token = token;
  void look();
});
void look();
setInterval(() => void count(), COUNT_MS);

/** Ask what to look at: soon again while there is nothing, and often enough to keep what there is. */
async function look() {
  clearTimeout(timer);
  const { status, review } = await desk.next();
  if (status === 401) return askForToken();
  if (status === 403) return askForToken(service.hasToken ? words.noScope : "");
  if (status === 200 || status === 204) signedIn();
  const same = review !== null && review.uploadId === shown?.uploadId;
  const kept = status === 0 && shown !== null; // while the service is away, what is here stays
  if (!same && !kept) await show(review);
  one("nothing").hidden = shown !== null;
  one("nothing").textContent = status === 0 ? words.away : words.nothing;
  timer = setTimeout(look, shown ? LEASE_S * 400 : LOOK_MS);
}

/** @param {Review | null} review */
async function show(review) {
  free();
  free = () => {};
  shown = review;
  one("item").hidden = review === null;
  void count();
  if (!review) return;
  one("name").textContent = review.filename ?? review.uploadId;
  one("facts").textContent = [
    review.size === undefined ? "" : formatBytes(review.size, lang),
    typeName(review.contentType ?? ""),
    say(words.from, { owner: review.owner }),
    say(words.since, { time: new Date(review.since).toLocaleString(lang) }),
  ]
    .filter(Boolean)
    .join(" · ");
  one("reasons").replaceChildren(...reasonsOf(review));
  one("scores").replaceChildren(...scoresOf(review));
  reason.value = "";
  one("trouble").hidden = true;
  one("seen").replaceChildren(element("p", { textContent: words.loading }));
  one("name").focus();
  one("spoken").textContent = `${one("name").textContent}. ${one("reasons").textContent}`;
  const view = await seen(review, service);
  if (shown?.uploadId !== review.uploadId) return view.free();
  free = view.free;
  one("seen").replaceChildren(...view.shown);
}

/** @param {Review} review */
function reasonsOf({ reasons = [], notChecked = [] }) {
  const missing = notChecked.length
    ? [say(words.notChecked, { list: notChecked.map((note) => uncheckedText(note, lang)).join(", ") })]
    : [];
  const rows = reasons.map(({ detail, rule, code, where }) => [
    detail || rule || code || words.marked,
    where ? element("small", { textContent: ` · ${where}` }) : "",
  ]);
  return [...rows, ...missing.map((text) => [text])].map((parts) => element("li", {}, parts));
}

/** @param {Review} review */
function scoresOf({ scores = {} }) {
  return Object.entries(scores).map(([name, value]) => {
    const bar = element("meter", { min: 0, max: 1, low: 0.4, high: 0.7, optimum: 0, value });
    bar.ariaLabel = name;
    const rows = [element("dt", { textContent: name }), element("dd", {}, [bar])];
    return element("div", {}, [...rows, element("dd", { textContent: number.format(value) })]);
  });
}

async function count() {
  const waiting = await desk.count();
  if (waiting === null) return;
  const many = waiting >= COUNTED;
  one("count").textContent = waiting ? say(many ? words.manyWaiting : words.waiting, { n: waiting }) : "";
  const title = `${words.page.review} · sse_progress`;
  document.title = waiting ? `(${waiting}${many ? "+" : ""}) ${title}` : title;
}

// ---- deciding

/** @param {Decision} decision */
async function decide(decision) {
  if (!shown || busy) return;
  const review = shown;
  hold(true);
  const status = await desk.decide(review, decision, reason.value.trim());
  hold(false);
  const over = status === 409 || status === 404;
  if (status !== 204 && !over) {
    one("trouble").hidden = false;
    one("trouble").textContent = status ? say(words.notTaken, { status }) : words.undecided;
    return;
  }
  const done = decision === "approve" ? words.approved : words.refused;
  one("spoken").textContent = over ? words.late : done;
  shown = null;
  await look();
}

async function next() {
  if (!shown || busy) return;
  desk.skip(shown);
  hold(true);
  await look();
  hold(false);
}

/** @param {boolean} on */
function hold(on) {
  busy = on;
  for (const button of buttons) button.disabled = on;
}

one("approve").addEventListener("click", () => void decide("approve"));
one("next").addEventListener("click", () => void next());
one("decide").addEventListener("submit", (event) => {
  event.preventDefault();
  void decide("refuse");
});
reason.addEventListener("keydown", (event) => {
  if (event.key === "Escape") one("name").focus();
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  void decide("refuse");
});

// ---- single keys, which can be turned off (WCAG 2.1.4)

keys.checked = localStorage.getItem(KEYS_KEY) !== "off";
keys.addEventListener("change", showKeys);
showKeys();

function showKeys() {
  localStorage.setItem(KEYS_KEY, keys.checked ? "on" : "off");
  document.body.classList.toggle("no-keys", !keys.checked);
}

document.addEventListener("keydown", (event) => {
  const { target, key, ctrlKey, metaKey, altKey, repeat } = event;
  if (!keys.checked || ctrlKey || metaKey || altKey || repeat) return;
  if (target instanceof HTMLElement && target.matches("textarea, input, audio, video")) return;
  const act = { a: () => void decide("approve"), n: () => void next(), r: () => reason.focus() }[
    key.toLowerCase()
  ];
  if (!act) return;
  event.preventDefault(); // an R that moves the focus is not typed
  act();
});
