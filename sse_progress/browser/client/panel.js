/**
 * `<upload-panel>`: what is being uploaded, floating in a corner of any page.
 *
 *     <script type="module" src="…/client/panel.js"></script>
 *     <upload-panel url="/api/media" position="bottom-right"></upload-panel>
 *
 * Attributes: `url` (the service's root; by default where this file came from), `position`
 * (`bottom-right`, `bottom-left`, `top-right`, `top-left`), `clear-after` (seconds until a finished
 * entry goes; 0 keeps it), `minimized`, `watch` (also what was sent before a reload, from other tabs
 * and devices).
 * Properties: `client` (a Client to show, in place of `url`), `texts` (words of your own, by code).
 * Shows what is sent through the client. Failed and refused entries stay until somebody has seen them.
 */

/**
 * @import { Client, Upload, UploadState } from "./index.js"
 * @import { PanelTexts } from "./panel.js"
 * @import { Text, Values } from "./texts.js"
 *
 * @typedef {object} Entry One upload in the list.
 * @property {Upload} upload
 * @property {HTMLElement} item
 * @property {Record<"name" | "value" | "bar" | "stage" | "numbers" | "words", HTMLElement>
 *   & Record<"retry" | "cancel", HTMLButtonElement>} parts
 * @property {Meter} meter
 * @property {string | null} spoken the phase and stage that were last announced
 * @property {ReturnType<typeof setTimeout> | null} clearing
 */

import { Announcer } from "./announcer.js";
import { clientFor } from "./index.js";
import { Meter } from "./meter.js";
import { headline, overview, shownPercent } from "./overview.js";
import { STYLE } from "./panel-style.js";
import { errorText, fill, formatBytes, formatPercent, formatSeconds, mergeTexts } from "./texts.js";

const CLEAR_AFTER_S = 20;
const TROUBLE = new Set(["refused", "failed"]);

const ICONS = {
  cross: "M4 4l8 8M12 4l-8 8",
  chevron: "M4 6l4 4 4-4",
  again: "M13 8a5 5 0 1 1-1.5-3.6M13 2.5V5h-2.5",
};

const FRAME = `
<section class="panel" role="region">
  <header>
    <p class="headline"><span></span><small></small></p>
    <button type="button" class="toggle" aria-controls="list"></button>
    <button type="button" class="close"></button>
  </header>
  <div class="whole" role="progressbar" aria-valuemin="0" aria-valuemax="100"><i></i></div>
  <p class="link" hidden></p>
  <ul id="list"></ul>
  <div class="spoken" role="status" aria-live="polite"></div>
</section>`;

const ENTRY = `
<div class="row">
  <span class="name"></span><span class="value" aria-hidden="true"></span>
  <button type="button" class="retry"></button><button type="button" class="cancel"></button>
</div>
<div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"><i></i></div>
<div class="facts"><span class="stage"></span><span class="numbers"></span></div>
<p class="words" hidden></p>`;

/** Without a document, as when a server renders, the module can be imported and defines nothing. */
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

export class UploadPanel extends Base {
  static observedAttributes = ["minimized"];

  /** @type {Client | null} */
  #client = null;
  #texts = mergeTexts();
  /** @type {Map<string, Entry>} by upload id */
  #entries = new Map();
  /** @type {AbortController | null} */
  #listening = null;
  /** @type {number | null} */
  #drawing = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;
  #dismissed = false;
  #announcer;
  #parts;
  #count = 0;
  /** @type {Set<Entry>} */
  #changed = new Set();

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet(); // allowed by `style-src 'self'`, which a <style> is not
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    root.append(fragment(FRAME));
    const one = within(root);
    this.#parts = {
      panel: one(".panel"),
      title: one(".headline span"),
      subtitle: one(".headline small"),
      toggle: one(".toggle"),
      close: one(".close"),
      whole: one(".whole"),
      link: one(".link"),
      list: one("ul"),
    };
    this.#announcer = new Announcer(one(".spoken"), () => this.#summary());
    this.#parts.toggle.append(icon("chevron"));
    this.#parts.close.append(icon("cross"));
    this.#parts.toggle.addEventListener("click", () => this.toggleAttribute("minimized"));
    this.#parts.close.addEventListener("click", () => this.dismiss());
  }

  /** The Client that is shown; the shared one for the attribute `url` if none was given. */
  get client() {
    return (this.#client ??= clientFor({ url: this.getAttribute("url") ?? undefined }));
  }

  set client(client) {
    this.#client = client;
    if (this.isConnected) this.#attach();
  }

  /**
   * Words of your own; see TEXTS in texts.js for every one there is.
   * @type {PanelTexts}
   */
  get texts() {
    return this.#texts;
  }

  set texts(own) {
    this.#texts = mergeTexts(own);
    this.#draw();
  }

  connectedCallback() {
    this.hidden = true;
    this.#attach();
  }

  disconnectedCallback() {
    this.#listening?.abort();
    this.#announcer.stop();
    this.#tick(false);
    for (const entry of this.#entries.values()) stop(entry.clearing);
    this.#entries.clear();
    this.#parts.list.replaceChildren();
  }

  attributeChangedCallback() {
    this.#draw();
  }

  /** Hide the panel and forget what is finished; the next upload brings it back. */
  dismiss() {
    this.#dismissed = true;
    for (const entry of [...this.#entries.values()]) if (entry.upload.ended) this.#remove(entry);
    this.#draw();
  }

  // ---- entries

  #attach() {
    this.disconnectedCallback();
    const listening = (this.#listening = new AbortController());
    const { signal } = listening;
    const { client } = this;
    for (const upload of client.uploads.values()) this.#seen(upload);
    client.observe((upload) => this.#seen(upload), { signal });
    client.observeLink(() => this.#drawSoon(), { signal });
    if (this.hasAttribute("watch")) {
      void client.watch().then((stop) => (signal.aborted ? stop() : signal.addEventListener("abort", stop)));
    }
    this.#draw();
  }

  /** @param {Upload} upload */
  #seen(upload) {
    const entry = this.#entries.get(upload.id) ?? (upload.ended ? null : this.#add(upload));
    if (!entry) return;
    const { state } = upload;
    if (state.phase === "sending" && state.bytes !== null) entry.meter.note(state.bytes, performance.now());
    const key = `${state.phase} ${state.stage} ${state.waiting}`;
    if (key !== entry.spoken) {
      const first = entry.spoken === null;
      entry.spoken = key;
      if (upload.ended) this.#place(entry);
      if (!first) this.#announce(entry);
    }
    if (upload.ended) this.#clearLater(entry);
    this.#drawSoon(entry);
  }

  /** @param {Upload} upload */
  #add(upload) {
    const entry = this.#entry(upload);
    this.#entries.set(upload.id, entry);
    this.#place(entry);
    this.#dismissed = false;
    return entry;
  }

  /**
   * What runs stands above what has ended; whoever has the focus keeps it.
   * @param {Entry} entry
   */
  #place(entry) {
    const { list } = this.#parts;
    const ended = [...this.#entries.values()].filter((other) => other !== entry && other.upload.ended);
    const before = [...list.children].find((item) => ended.some((other) => other.item === item)) ?? null;
    if (entry.item.parentNode === list && entry.item.nextSibling === before) return;
    const focused = /** @type {HTMLElement | null | undefined} */ (this.shadowRoot?.activeElement);
    list.insertBefore(entry.item, before);
    if (focused && entry.item.contains(focused)) focused.focus();
  }

  /** @param {Upload} upload */
  #entry(upload) {
    const item = document.createElement("li");
    item.append(fragment(ENTRY));
    const one = within(item);
    const parts = {
      name: one(".name"),
      value: one(".value"),
      retry: /** @type {HTMLButtonElement} */ (one(".retry")),
      cancel: /** @type {HTMLButtonElement} */ (one(".cancel")),
      bar: one(".bar"),
      stage: one(".stage"),
      numbers: one(".numbers"),
      words: one(".words"),
    };
    /** @type {Entry} */
    const entry = { upload, item, parts, meter: new Meter(), spoken: null, clearing: null };
    parts.name.id = `name-${(this.#count += 1)}`;
    parts.bar.setAttribute("aria-labelledby", parts.name.id);
    parts.retry.append(icon("again"));
    parts.cancel.append(icon("cross"));
    parts.retry.addEventListener("click", () => this.#retry(entry));
    parts.cancel.addEventListener("click", () => this.#cancelOrDismiss(entry));
    return entry;
  }

  /** @param {Entry} entry */
  #retry(entry) {
    const upload = entry.upload.retry();
    const fresh = this.#entries.get(upload.id) ?? this.#add(upload);
    this.#remove(entry);
    this.#draw();
    fresh.parts.cancel.focus();
  }

  /** @param {Entry} entry */
  #cancelOrDismiss(entry) {
    if (!entry.upload.ended) {
      if (!entry.upload.state.cancelling) entry.upload.cancel().catch(() => {}); // the entry shows that it goes on
      return;
    }
    const neighbour = entry.item.nextElementSibling ?? entry.item.previousElementSibling;
    this.#remove(entry);
    this.#draw();
    const next = /** @type {HTMLElement | null | undefined} */ (neighbour?.querySelector(".cancel"));
    (next ?? this.#parts.toggle).focus();
  }

  /** @param {Entry} entry */
  #remove(entry) {
    stop(entry.clearing);
    entry.item.remove();
    this.#entries.delete(entry.upload.id);
  }

  /** @param {Entry} entry */
  #clearLater(entry) {
    const seconds = Number(this.getAttribute("clear-after") ?? CLEAR_AFTER_S);
    if (entry.clearing || !(seconds > 0) || TROUBLE.has(entry.upload.state.phase)) return;
    entry.clearing = setTimeout(() => {
      entry.clearing = null;
      if (entry.item.matches(":hover, :focus-within")) return this.#clearLater(entry);
      this.#remove(entry);
      this.#draw();
    }, seconds * 1000);
  }

  // ---- drawing

  /**
   * Draw with the next frame: the whole, and of the entries those that have changed.
   * @param {Entry[]} entries
   */
  #drawSoon(...entries) {
    for (const entry of entries) this.#changed.add(entry);
    this.#drawing ??= requestAnimationFrame(() => this.#draw(this.#changed));
  }

  /** @param {Iterable<Entry>} changed */
  #draw(changed = this.#entries.values()) {
    if (this.#drawing !== null) cancelAnimationFrame(this.#drawing);
    this.#drawing = null;
    const entries = [...this.#entries.values()];
    this.hidden = this.#dismissed || entries.length === 0;
    if (!this.hidden) this.#drawFrame(entries);
    for (const entry of changed) this.#drawEntry(entry);
    this.#changed.clear();
    this.#tick(!this.hidden && entries.some(isSending));
  }

  /**
   * Speed and remaining time change with the clock, also while nothing is heard.
   * @param {boolean} on
   */
  #tick(on) {
    const draw = () => this.#drawSoon(...[...this.#entries.values()].filter(isSending));
    if (on) this.#ticking ??= setInterval(draw, 1000);
    else {
      clearInterval(this.#ticking);
      this.#ticking = undefined;
    }
  }

  /** @param {Entry[]} entries */
  #drawFrame(entries) {
    const { panel, title, subtitle, toggle, close, whole, link, list } = this.#parts;
    const texts = this.#texts;
    const minimized = this.hasAttribute("minimized");
    const states = entries.map(({ upload }) => upload.state);
    const { title: words, more, phase, percent } = headline(states, texts, (text, n) => this.#say(text, n));
    panel.setAttribute("aria-label", texts.label);
    panel.classList.toggle("minimized", minimized);
    title.textContent = words;
    const value = percent === null ? "" : formatPercent(percent, texts.lang);
    subtitle.textContent = [value, ...more].filter(Boolean).join(" · ");
    label(toggle, minimized ? texts.restore : texts.minimize);
    toggle.setAttribute("aria-expanded", String(!minimized));
    label(close, texts.dismissAll);
    list.setAttribute("aria-label", texts.label);
    whole.setAttribute("aria-label", texts.overall);
    panel.dataset.phase = phase;
    const filled = percent ?? (phase === "cancelled" ? 0 : 100);
    gauge(whole, filled, percent === null ? words : this.#say(texts.percent, { n: percent }));
    const line = percent === null ? "" : (texts.link[this.client.link] ?? "");
    link.hidden = this.client.link === "connecting" || !line;
    link.textContent = line;
  }

  /** @param {Entry} entry */
  #drawEntry({ upload, item, parts, meter }) {
    const texts = this.#texts;
    const { state } = upload;
    const name = this.#name(upload);
    const words = this.#words(state);
    const status = this.#status(state);
    item.dataset.phase = state.phase === "checking" || state.waiting === "review" ? "waiting" : state.phase;
    parts.name.textContent = parts.name.title = name;
    parts.value.textContent =
      upload.ended && state.phase !== "done" ? "" : formatPercent(shown(state), texts.lang);
    gauge(
      parts.bar,
      shown(state),
      upload.ended ? status : `${status}, ${this.#say(texts.percent, { n: shown(state) })}`,
    );
    parts.stage.textContent = status;
    parts.stage.toggleAttribute("data-tone", upload.ended && state.phase !== "cancelled");
    parts.numbers.textContent = this.#numbers(state, meter);
    parts.words.hidden = !words;
    parts.words.textContent = words;
    parts.retry.hidden = !upload.canRetry;
    label(parts.retry, this.#say(texts.retry, { name }));
    label(parts.cancel, this.#say(upload.ended ? texts.dismiss : texts.cancel, { name }));
    parts.cancel.ariaDisabled = String(state.cancelling); // `disabled` would take the focus away
  }

  /** @param {Upload} upload */
  #name({ id, state }) {
    return state.media?.filename ?? state.filename ?? this.#say(this.#texts.unnamed, { id: id.slice(-8) });
  }

  /** @param {UploadState} state */
  #status(state) {
    const { phase, stage } = this.#texts;
    if (state.cancelling) return phase.cancelling;
    if (state.waiting === "review") return phase.review;
    if (state.phase === "working") return stage[state.stage ?? ""] ?? state.message;
    return phase[state.phase];
  }

  /**
   * The error in words, or the sentence that goes with the stage.
   * @param {UploadState} state
   */
  #words(state) {
    if (TROUBLE.has(state.phase)) {
      return errorText(this.#texts, state.error, state.message);
    }
    const quiet = state.stage === "file_received" || state.waiting === "review";
    return state.phase === "working" && !quiet ? state.message : "";
  }

  /**
   * @param {UploadState} state
   * @param {Meter} meter
   */
  #numbers(state, meter) {
    const texts = this.#texts;
    const size = (/** @type {number} */ bytes) => formatBytes(bytes, texts.lang);
    const numbers = [];
    let left = state.etaSeconds;
    if (state.phase === "sending" && state.bytes !== null) {
      numbers.push(
        state.total
          ? this.#say(texts.of, { done: size(state.bytes), total: size(state.total) })
          : size(state.bytes),
      );
      const speed = meter.speed(performance.now());
      if (speed) numbers.push(this.#say(texts.speed, { amount: size(speed) }));
      if (speed && state.total) left = (state.total - state.bytes) / speed;
    } else if (state.size !== null) {
      numbers.push(size(state.size));
    }
    if (left && state.phase !== "checking")
      numbers.push(this.#say(texts.left, { time: formatSeconds(left, texts.lang) }));
    return numbers.join(" · ");
  }

  // ---- speaking

  /** @param {Entry} entry */
  #announce({ upload }) {
    const text = [
      this.#status(upload.state),
      TROUBLE.has(upload.state.phase) ? this.#words(upload.state) : "",
    ];
    const sentence = this.#say(this.#texts.announce, {
      name: this.#name(upload),
      text: text.filter(Boolean).join(". "),
    });
    this.#announcer.say(upload.id, sentence);
  }

  #summary() {
    return this.#say(this.#texts.summary, tally([...this.#entries.values()]));
  }

  /**
   * @param {Text} text
   * @param {Values} values
   */
  #say(text, values) {
    return fill(text, values, this.#texts.lang);
  }
}

/** @param {Entry[]} entries */
function tally(entries) {
  const { sending, working, done, cancelled, trouble } = overview(entries.map(({ upload }) => upload.state));
  return { active: sending + working, done, cancelled, trouble };
}

/** @param {Entry} entry */
function isSending({ upload }) {
  return upload.state.phase === "sending";
}

/**
 * Whole percent for a bar: an upload that did not end well is over as well.
 * @param {UploadState} state
 */
function shown(state) {
  return TROUBLE.has(state.phase) || state.phase === "cancelled" ? 100 : shownPercent(state);
}

/**
 * @param {HTMLElement} element
 * @param {number} value
 * @param {string} text
 */
function gauge(element, value, text) {
  element.style.setProperty("--value", String(value));
  element.setAttribute("aria-valuenow", String(value));
  element.setAttribute("aria-valuetext", text);
}

/**
 * @param {HTMLElement} button
 * @param {string} text
 */
function label(button, text) {
  button.title = text;
  button.setAttribute("aria-label", text);
}

/**
 * What finds the elements of this file's own markup, which are all there.
 * @param {ParentNode} root
 * @returns {(selector: string) => HTMLElement}
 */
function within(root) {
  return (selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
}

/** @param {ReturnType<typeof setTimeout> | null} timer */
function stop(timer) {
  clearTimeout(timer ?? undefined);
}

/** @param {string} html */
function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // constant markup of this file, never a value
  return template.content;
}

/** @param {keyof typeof ICONS} name */
function icon(name) {
  const svg = fragment(`<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`);
  return /** @type {Element} */ (svg.firstElementChild);
}

const known = globalThis.customElements?.get("upload-panel");
if (globalThis.customElements && !known) customElements.define("upload-panel", UploadPanel);
