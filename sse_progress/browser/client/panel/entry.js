/** One upload in the panel's list: its elements, and what they say of a state. */

/**
 * @import { Upload, UploadState } from "../index.js"
 * @import { StageRow } from "../state/kinds.js"
 * @import { Texts, Values, Text } from "../text/texts.js"
 *
 * @typedef {{
 *   retry: (entry: Entry) => void,
 *   cancel: (entry: Entry) => void,
 *   stages: (state: UploadState) => readonly StageRow[],
 * }} Acts
 */

import { sentenceText, stageText } from "../state/kinds.js";
import { fragment, gauge, icon, label, within } from "./markup.js";
import { Meter } from "./meter.js";
import { shownPercent } from "./overview.js";
import { placeText, startText } from "../text/place.js";
import { errorText, fill, formatBytes, formatPercent, formatSeconds } from "../text/texts.js";

export const TROUBLE = new Set(["refused", "failed"]);

const MARKUP = `
<div class="row">
  <span class="name"></span><span class="value" aria-hidden="true"></span>
  <button type="button" class="pause" hidden></button><button type="button" class="retry"></button><button type="button" class="cancel"></button>
</div>
<div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"><i></i></div>
<div class="facts"><span class="stage"></span><span class="numbers"></span></div>
<p class="words" hidden></p>`;

let count = 0;

/**
 * Nothing is sent now: by its sender's wish, or for want of a network.
 * @param {UploadState} state
 */
function isHalted(state) {
  return state.phase === "sending" && (state.paused || state.away);
}

export class Entry {
  #meter = new Meter();
  #texts;
  #stages;

  /**
   * `texts()` are those of the moment; `acts` are what its buttons do, and the stages of its kind.
   * @param {Upload} upload
   * @param {() => Texts} texts
   * @param {Acts} acts
   */
  constructor(upload, texts, acts) {
    this.upload = upload;
    this.#texts = texts;
    this.#stages = acts.stages;
    /**
     * The phase and stage that were last announced.
     * @type {string | null}
     */
    this.spoken = null;
    /** @type {ReturnType<typeof setTimeout> | null} */
    this.clearing = null;
    this.item = document.createElement("li");
    this.item.append(fragment(MARKUP));
    const one = within(this.item);
    this.parts = {
      name: one(".name"),
      value: one(".value"),
      pause: /** @type {HTMLButtonElement} */ (one(".pause")),
      retry: /** @type {HTMLButtonElement} */ (one(".retry")),
      cancel: /** @type {HTMLButtonElement} */ (one(".cancel")),
      bar: one(".bar"),
      stage: one(".stage"),
      numbers: one(".numbers"),
      words: one(".words"),
    };
    const { name, bar, pause, retry, cancel } = this.parts;
    name.id = `name-${(count += 1)}`;
    bar.setAttribute("aria-labelledby", name.id);
    retry.append(icon("again"));
    cancel.append(icon("cross"));
    pause.addEventListener("click", () => (upload.state.paused ? upload.resume() : upload.pause()));
    retry.addEventListener("click", () => acts.retry(this));
    cancel.addEventListener("click", () => acts.cancel(this));
  }

  /** Bytes leave the browser, or arrive: its speed has to be drawn again every second. */
  get sending() {
    return this.upload.state.phase === "sending";
  }

  get inTrouble() {
    return TROUBLE.has(this.upload.state.phase);
  }

  /** Count what has gone, for its speed. */
  note() {
    const { bytes } = this.upload.state;
    if (this.sending && bytes !== null) this.#meter.note(bytes, performance.now());
  }

  /** What is announced of it now: who it is, how it stands, and why if it went wrong. */
  sentence() {
    const { state } = this.upload;
    const text = [this.#status(state), this.inTrouble ? this.#words(state) : ""];
    return this.#say(this.#texts().announce, { name: this.#name(), text: text.filter(Boolean).join(". ") });
  }

  draw() {
    const { upload, item, parts } = this;
    const texts = this.#texts();
    const { state } = upload;
    const name = this.#name();
    const words = this.#words(state);
    const status = this.#status(state);
    const waits = state.waiting === "review" || state.queuePosition !== null;
    const rests = state.phase === "checking" || waits || isHalted(state);
    item.dataset.phase = rests ? "waiting" : state.phase;
    parts.name.textContent = parts.name.title = name;
    const value = upload.ended && state.phase !== "done" ? "" : formatPercent(this.#shown(state), texts.lang);
    parts.value.textContent = value;
    const percent = this.#say(texts.percent, { n: this.#shown(state) });
    gauge(parts.bar, this.#shown(state), upload.ended ? status : `${status}, ${percent}`);
    parts.stage.textContent = status;
    parts.stage.toggleAttribute("data-tone", upload.ended && state.phase !== "cancelled");
    parts.numbers.textContent = this.#numbers(state);
    parts.words.hidden = !words;
    parts.words.textContent = words;
    this.#drawPause(name);
    parts.retry.hidden = !upload.canRetry;
    label(parts.retry, this.#say(texts.retry, { name }));
    label(parts.cancel, this.#say(upload.ended ? texts.dismiss : texts.cancel, { name }));
    parts.cancel.ariaDisabled = String(state.cancelling); // `disabled` would take the focus away
  }

  /**
   * A button that changes its meaning is drawn again only then.
   * @param {string} name
   */
  #drawPause(name) {
    const { upload, parts } = this;
    const focused = parts.pause.matches(":focus");
    parts.pause.hidden = !upload.canPause;
    if (focused && parts.pause.hidden) parts.cancel.focus();
    const { paused } = upload.state;
    label(parts.pause, this.#say(paused ? this.#texts().resume : this.#texts().pause, { name }));
    if (parts.pause.dataset.paused === String(paused)) return;
    parts.pause.dataset.paused = String(paused);
    parts.pause.replaceChildren(icon(paused ? "play" : "pause"));
  }

  /**
   * Whole percent for a bar: an upload that did not end well is over as well.
   * @param {UploadState} state
   */
  #shown(state) {
    return this.inTrouble || state.phase === "cancelled" ? 100 : shownPercent(state);
  }

  #name() {
    const { id, state } = this.upload;
    return state.media?.filename ?? state.filename ?? this.#say(this.#texts().unnamed, { id: id.slice(-8) });
  }

  /** @param {UploadState} state */
  #status(state) {
    const { phase } = this.#texts();
    if (state.cancelling) return phase.cancelling;
    if (state.waiting === "review") return phase.review;
    if (isHalted(state)) return state.away && !state.paused ? phase.away : phase.paused;
    const place = placeText(this.#texts(), state);
    if (place) return place;
    if (state.phase === "working")
      return stageText(this.#texts(), this.#stages(state), state.stage) || state.message;
    return phase[state.phase];
  }

  /**
   * The error in words, or the sentence that goes with the stage.
   * @param {UploadState} state
   */
  #words(state) {
    if (this.inTrouble) return errorText(this.#texts(), state.error, state.message);
    if (state.paused && this.upload.canGoOn) {
      const percent = formatPercent(shownPercent(state), this.#texts().lang);
      return this.#say(this.#texts().goOn, { name: this.#name(), percent });
    }
    const quiet = state.stage === "file_received" || state.waiting === "review";
    if (state.phase !== "working" || quiet) return "";
    const words = sentenceText(this.#texts(), this.#stages(state), state);
    return words === this.#status(state) ? "" : words;
  }

  /** @param {UploadState} state */
  #numbers(state) {
    const texts = this.#texts();
    const size = (/** @type {number} */ bytes) => formatBytes(bytes, texts.lang);
    const numbers = [];
    let left = state.etaSeconds;
    if (this.sending && state.bytes !== null) {
      const done = size(state.bytes);
      numbers.push(state.total ? this.#say(texts.of, { done, total: size(state.total) }) : done);
      const speed = isHalted(state) ? null : this.#meter.speed(performance.now());
      if (speed) numbers.push(this.#say(texts.speed, { amount: size(speed) }));
      if (speed && state.total) left = (state.total - state.bytes) / speed;
    } else if (state.size !== null) {
      numbers.push(size(state.size));
    }
    if (left && state.phase !== "checking")
      numbers.push(this.#say(texts.left, { time: formatSeconds(left, texts.lang) }));
    return [...numbers, startText(texts, state)].filter(Boolean).join(" · ");
  }

  /**
   * @param {Text} text
   * @param {Values} values
   */
  #say(text, values) {
    return fill(text, values, this.#texts().lang);
  }
}
