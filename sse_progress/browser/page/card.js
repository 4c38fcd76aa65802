/** One upload on the page: its stages as they pass, and what came out. Draws; decides nothing. */

/** @import { Client, Media, Upload, UploadState } from "../client/index.js" */
/** @import { StageRow } from "../client/state/kinds.js" */
import { kindsOf, sentenceText, stageText } from "../client/state/kinds.js";
import { shownPercent } from "../client/panel/overview.js";
import { durationMs } from "../client/state/passed.js";
import { placeText, startText } from "../client/text/place.js";
import { errorText, formatBytes, formatPercent, formatSeconds } from "../client/text/texts.js";
import { element } from "./dom.js";
import { outcome, pictureOf } from "./outcome.js";
import { lang, say, texts, words } from "./speech.js";
import { typeName } from "./words.js";

/** More stages than these go on in a further row. */
const COLUMNS = 10;

export class Card {
  #client;
  #kinds;
  /** @type {number | null} */
  #drawing = null;
  #outcome = false;
  /** The moment for which the journal was asked last: once is enough for each. */
  #askedAt = "";
  /** @type {HTMLImageElement | null} */
  #picture = null;

  /**
   * @param {Upload} upload
   * @param {Client} client
   */
  constructor(upload, client) {
    this.upload = upload;
    /** Whether it was over before this page knew of it. */
    this.old = upload.ended;
    this.#client = client;
    this.#kinds = kindsOf(client);
    this.element = element("li", { className: "card" });
    this.parts = {
      picture: element("div", { className: "picture", ariaHidden: "true" }),
      name: element("h3", { tabIndex: -1 }),
      about: element("p"),
      badge: element("span", { className: "badge" }),
      pause: element("button", { className: "act", type: "button", textContent: words.pause, hidden: true }),
      retry: element("button", { className: "act", type: "button", textContent: words.retry, hidden: true }),
      cancel: element("button", { className: "act", type: "button", textContent: words.cancel }),
      unfold: element("button", { className: "act", type: "button", textContent: words.hide, hidden: true }),
      stages: element("ol", { className: "stages" }),
      trouble: element("p", { className: "trouble", hidden: true }),
    };
    const { picture, name, about, badge, pause, retry, cancel, unfold, stages, trouble } = this.parts;
    const what = element("div", { className: "what" }, [name, about]);
    const head = element("div", { className: "head" }, [picture, what, badge, pause, retry, cancel, unfold]);
    this.element.append(head, stages, trouble);
    stages.ariaLabel = words.stages;
    pause.addEventListener("click", () => (upload.state.paused ? upload.resume() : upload.pause()));
    retry.addEventListener("click", () => upload.retry());
    cancel.addEventListener("click", () => {
      if (!upload.state.cancelling) void upload.cancel().catch(() => {}); // the card shows that it goes on
    });
    unfold.addEventListener("click", () => {
      this.old = false;
      this.fold(!this.#folded);
      this.#label();
    });
    if (upload.file?.type.startsWith("image/")) this.#preview(upload.file);
  }

  drawSoon() {
    this.#drawing ??= requestAnimationFrame(() => {
      this.#drawing = null;
      this.#draw();
    });
  }

  /**
   * Show only the head, until more is asked for.
   * @param {boolean} folded
   */
  fold(folded) {
    const { unfold } = this.parts;
    this.element.classList.toggle("folded", folded);
    unfold.textContent = folded ? words.show : words.hide;
    unfold.ariaExpanded = String(!folded);
    if (!folded) this.#readTimes();
  }

  get #folded() {
    return this.element.classList.contains("folded");
  }

  /** Each button says which upload it is about. */
  #label() {
    const { pause, retry, cancel, unfold, name } = this.parts;
    for (const button of [pause, retry, cancel, unfold]) {
      button.ariaLabel = `${button.textContent} ${name.textContent}`;
    }
  }

  /** Stages that were not seen as they passed have their times in the journal. */
  #readTimes() {
    const { state } = this.upload;
    const moment = `${state.phase} ${state.heard}`;
    if (!state.gaps || moment === this.#askedAt || this.#folded) return;
    this.#askedAt = moment;
    void this.upload.readHistory();
  }

  #draw() {
    const { upload, parts } = this;
    const { state } = upload;
    const halted = state.phase === "sending" && (state.paused || state.away);
    const waits = state.waiting === "review" || state.queuePosition !== null;
    const rests = halted || state.phase === "checking" || waits;
    this.element.dataset.phase = rests ? "waiting" : state.phase;
    parts.name.textContent = parts.name.title =
      state.media?.filename ?? state.filename ?? say(texts.unnamed, { id: upload.id.slice(-8) });
    const rows = this.#kinds.stages(state);
    parts.about.textContent = about(upload, rows);
    parts.badge.textContent = badge(state);
    parts.pause.hidden = !upload.canPause;
    parts.pause.textContent = state.paused ? words.resume : words.pause;
    parts.retry.hidden = !upload.canRetry;
    const focused = document.activeElement === parts.cancel;
    parts.cancel.hidden = upload.ended;
    parts.cancel.ariaDisabled = String(state.cancelling); // `disabled` would take the focus away
    parts.unfold.hidden = !upload.ended;
    if (focused && upload.ended) (upload.canRetry ? parts.retry : parts.name).focus();
    this.#label();
    if (!this.#picture) parts.picture.textContent = extension(state);
    this.#readTimes();
    this.#drawStages(state, rows);
    this.#drawTrouble(state);
    if (state.phase === "done" && state.media && !this.#outcome) this.#drawOutcome(state.media);
  }

  /**
   * @param {UploadState} state
   * @param {readonly StageRow[]} rows
   */
  #drawStages(state, rows) {
    const rank = rows.findIndex((row) => row.name === (state.endedIn ?? lastStage(state, rows)));
    const current = this.upload.ended && state.phase === "done" ? rows.length : rank;
    const columns = this.#layOut(rows);
    const items = /** @type {HTMLElement[]} */ ([...this.parts.stages.children]);
    items.forEach((item, at) => {
      const { name } = rows[at];
      const passed = at < current;
      const now = at === current;
      const value = passed ? 100 : now ? state.stageProgress : 0;
      item.style.setProperty("--value", String(value));
      item.toggleAttribute("data-passed", passed);
      item.toggleAttribute("data-now", now);
      item.toggleAttribute("data-late", at % columns >= columns / 2);
      if (now && !this.upload.ended) item.ariaCurrent = "step";
      else item.ariaCurrent = null;
      item.children[0].textContent = item.title = stageText(texts, rows, name);
      const time =
        name === "file_received" && now
          ? words.queued
          : passed
            ? took(durationMs(state.passed, name))
            : now && !this.upload.ended
              ? formatPercent(value, lang)
              : "";
      item.children[1].textContent = time;
      if (time) this.parts.stages.classList.add("timed");
    });
  }

  /**
   * An element for each stage; returns how many stand side by side.
   * @param {readonly StageRow[]} rows
   */
  #layOut(rows) {
    const columns = Math.max(1, Math.min(rows.length, COLUMNS));
    const { stages } = this.parts;
    stages.style.setProperty("--columns", String(columns));
    while (stages.childElementCount > rows.length) stages.lastElementChild?.remove();
    while (stages.childElementCount < rows.length)
      stages.append(element("li", {}, [element("b"), element("i")]));
    return columns;
  }

  /** @param {UploadState} state */
  #drawTrouble(state) {
    const { trouble } = this.parts;
    trouble.hidden = !state.error;
    if (!state.error) return;
    trouble.textContent = errorText(texts, state.error, state.message);
    trouble.append(element("code", { textContent: state.error.code }));
  }

  /** @param {Media} media */
  #drawOutcome(media) {
    this.#outcome = true;
    this.element.append(outcome(media, this.#client));
    void pictureOf(media, this.#client).then((source) => source && this.#show(source));
  }

  /** @param {Blob} file */
  #preview(file) {
    const source = URL.createObjectURL(file);
    this.#show(source, () => URL.revokeObjectURL(source));
  }

  /**
   * A picture that the browser cannot show leaves the file's extension in its place.
   * @param {string} source
   */
  #show(source, after = () => {}) {
    const image = element("img", { alt: "", src: source });
    image.decode().then(
      () => {
        this.#picture = image;
        this.parts.picture.replaceChildren(image);
        after();
      },
      () => after(),
    );
  }
}

/**
 * When an upload began, ms since the epoch: from what came out, from the time in a UUIDv7 (ours are named so), or from when it was first seen.
 * @param {Upload} upload
 */
export function bornAt({ id, state, createdAt }) {
  const uuid = /([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-/.exec(id);
  const known = uuid ? Number.parseInt(uuid[1] + uuid[2], 16) : Date.parse(state.media?.createdAt ?? "");
  return Number.isFinite(known) ? known : createdAt;
}

/**
 * @param {Upload} upload
 * @param {readonly StageRow[]} rows
 */
function about(upload, rows) {
  const { state } = upload;
  if (state.paused && upload.canGoOn) {
    const name = state.filename ?? "";
    return say(texts.goOn, { name, percent: formatPercent(shownPercent(state), lang) });
  }
  if (state.phase === "sending" && state.total) {
    return say(texts.of, {
      done: formatBytes(state.bytes ?? 0, lang),
      total: formatBytes(state.total, lang),
    });
  }
  const size = state.media?.size ?? state.size;
  const known = [
    size === null ? "" : formatBytes(size, lang),
    typeName(state.media?.contentType ?? ""),
  ].filter(Boolean);
  if (state.phase === "checking") return texts.phase.checking;
  const place = placeText(texts, state);
  if (place) return [...known, place, startText(texts, state)].join(" · ");
  const left = state.etaSeconds ? say(texts.left, { time: formatSeconds(state.etaSeconds, lang) }) : "";
  if (state.phase === "working")
    return [sentenceText(texts, rows, state), left].filter(Boolean).join(" · ") || known.join(" · ");
  return known.join(" · ");
}

/** @param {UploadState} state */
function badge(state) {
  if (state.cancelling) return words.cancelling;
  if (state.waiting === "review") return words.review;
  if (state.phase === "sending" && state.paused) return texts.phase.paused;
  if (state.phase === "sending" && state.away) return texts.phase.away;
  const active = ["sending", "working"].includes(state.phase);
  return active
    ? formatPercent(shownPercent(state), lang)
    : state.phase === "checking"
      ? words.checking
      : texts.phase[state.phase];
}

/**
 * The last stage that was seen; an end is none.
 * @param {UploadState} state
 * @param {readonly StageRow[]} rows
 */
function lastStage(state, rows) {
  const stages = state.passed.map((row) => row.stage);
  return [state.stage, ...stages].findLast((name) => rows.some((row) => row.name === name));
}

/**
 * How long a stage took, for people; "" where that is not known.
 * @param {number | null} ms
 */
function took(ms) {
  if (ms === null) return "";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 10_000
    ? `${new Intl.NumberFormat(lang, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(ms / 1000)} s`
    : formatSeconds(ms / 1000, lang);
}

/** @param {UploadState} state */
function extension(state) {
  const name = state.media?.filename ?? state.filename ?? "";
  const dot = name.lastIndexOf(".");
  return dot > 0 ? name.slice(dot + 1, dot + 6).toUpperCase() : "FILE";
}
