/**
 * `<upload-panel>`: what is being uploaded, floating in a corner of any page.
 *
 *     <script type="module" src="…/client/panel.js"></script>
 *     <upload-panel url="/api/media" position="bottom-right"></upload-panel>
 *
 * Attributes: `url` (the service's root; by default where this file came from), `position`
 * (`bottom-right`, `bottom-left`, `top-right`, `top-left`), `clear-after` (seconds until a finished
 * entry goes; 0 keeps it), `minimized`, `lang` (the reader's without it), `watch` (also what was sent before a reload, from other tabs
 * and devices).
 * Properties: `client` (a Client to show, in place of `url`), `texts` (words of your own, by code).
 * Shows what is sent through the client. Failed and refused entries stay until somebody has seen them.
 */

/**
 * @import { Client, Upload } from "./index.js"
 * @import { PanelTexts } from "./panel.js"
 * @import { Entry } from "./panel/entry.js"
 * @import { Text, Values } from "./text/texts.js"
 */

import { Announcer } from "./panel/announcer.js";
import { clientFor } from "./index.js";
import { kindsOf } from "./state/kinds.js";
import { loadTexts, localeOf } from "./text/locale.js";
import { Base, define, gauge, icon, label, shadow, within } from "./panel/markup.js";
import { headline, overview } from "./panel/overview.js";
import { EntryList } from "./panel/list.js";
import { STYLE } from "./panel/style.js";
import { Run } from "./panel/run.js";
import { fill, formatBytes, formatPercent, formatSeconds, mergeTexts, TEXTS } from "./text/texts.js";

const CLEAR_AFTER_S = 20;

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
  <p class="rest" hidden></p>
  <div class="spoken" role="status" aria-live="polite"></div>
</section>`;

export class UploadPanel extends Base {
  static observedAttributes = ["lang", "minimized"];

  /** @type {Client | null} */
  #client = null;
  #base = TEXTS;
  /** @type {PanelTexts} */
  #own = {};
  #texts = TEXTS;
  /** @type {AbortController | null} */
  #listening = null;
  /** @type {number | null} */
  #drawing = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;
  #run = new Run();
  #dismissed = false;
  #announcer;
  #list;
  #parts;
  /** @type {Set<Entry>} */
  #changed = new Set();

  constructor() {
    super();
    const root = shadow(this, STYLE, FRAME);
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
      rest: one(".rest"),
    };
    this.#list = new EntryList(this.#parts.list, {
      texts: () => this.#texts,
      stages: (state) => kindsOf(this.client).stages(state),
      clearAfterS: () => Number(this.getAttribute("clear-after") ?? CLEAR_AFTER_S),
      added: () => {
        this.#dismissed = false;
      },
      draw: () => this.#draw(),
      refuge: () => this.#parts.toggle,
    });
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
    this.#own = own;
    this.#texts = mergeTexts(own, this.#base);
    this.#draw();
  }

  connectedCallback() {
    this.hidden = true;
    this.#attach();
    void this.#localize();
  }

  /** In the reader's language, or that of the attribute `lang`. */
  async #localize() {
    const tag = this.getAttribute("lang");
    this.#base = await loadTexts(localeOf(tag ? [tag] : undefined));
    this.texts = this.#own;
  }

  disconnectedCallback() {
    this.#listening?.abort();
    this.#announcer.stop();
    this.#tick(false);
    this.#list.clear();
  }

  /** @param {string} name */
  attributeChangedCallback(name) {
    if (name === "lang" && this.isConnected) void this.#localize();
    this.#draw();
  }

  /** Hide the panel and forget what is finished; the next upload brings it back. */
  dismiss() {
    this.#dismissed = true;
    this.#list.dismiss();
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
    kindsOf(client).observe(() => this.#draw(), { signal });
    client.observeLink(() => this.#drawSoon(), { signal });
    if (this.hasAttribute("watch")) {
      void client.watch().then((stop) => (signal.aborted ? stop() : signal.addEventListener("abort", stop)));
    }
    this.#draw();
  }

  /** @param {Upload} upload */
  #seen(upload) {
    const { state } = upload;
    if (upload.file) this.#run.note(state, performance.now());
    const entry = this.#list.take(upload);
    if (!entry) return this.#drawSoon();
    entry.note();
    // That it waits is said, but not each step in the queue.
    const key = `${state.phase} ${state.stage} ${state.waiting} ${state.queuePosition !== null}`;
    if (key !== entry.spoken && entry.spoken !== null) this.#announcer.say(upload.id, entry.sentence());
    entry.spoken = key;
    this.#drawSoon(entry);
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

  /** @param {Iterable<Entry>} [changed] all without it */
  #draw(changed) {
    if (this.#drawing !== null) cancelAnimationFrame(this.#drawing);
    this.#drawing = null;
    for (const entry of this.#list.admit()) this.#changed.add(entry);
    const { entries } = this.#list;
    this.hidden = this.#dismissed || entries.length === 0;
    if (!this.hidden) this.#drawFrame();
    for (const entry of changed ?? entries) entry.draw();
    this.#changed.clear();
    this.#tick(!this.hidden && entries.some(({ sending }) => sending));
  }

  /**
   * Speed and remaining time change with the clock, also while nothing is heard.
   * @param {boolean} on
   */
  #tick(on) {
    const draw = () => this.#drawSoon(...this.#list.entries.filter(({ sending }) => sending));
    if (on) this.#ticking ??= setInterval(draw, 1000);
    else {
      clearInterval(this.#ticking);
      this.#ticking = undefined;
    }
  }

  #drawFrame() {
    const { panel, title, subtitle, toggle, close, whole, link, list, rest } = this.#parts;
    const texts = this.#texts;
    const minimized = this.hasAttribute("minimized");
    const states = this.#list.uploads.map(({ state }) => state);
    const { title: words, more, phase, percent } = headline(states, texts, (text, n) => this.#say(text, n));
    panel.setAttribute("aria-label", texts.label);
    panel.classList.toggle("minimized", minimized);
    title.textContent = words;
    const value = percent === null ? "" : formatPercent(percent, texts.lang);
    subtitle.textContent = [value, ...this.#together(), ...more].filter(Boolean).join(" · ");
    label(toggle, minimized ? texts.restore : texts.minimize);
    toggle.setAttribute("aria-expanded", String(!minimized));
    label(close, texts.dismissAll);
    list.setAttribute("aria-label", texts.label);
    rest.hidden = this.#list.waiting === 0;
    rest.textContent = this.#say(texts.rest, { n: this.#list.waiting });
    whole.setAttribute("aria-label", texts.overall);
    panel.dataset.phase = phase;
    const filled = percent ?? (phase === "cancelled" ? 0 : 100);
    gauge(whole, filled, percent === null ? words : this.#say(texts.percent, { n: percent }));
    const line = percent === null ? "" : (texts.link[this.client.link] ?? "");
    link.hidden = this.client.link === "connecting" || !line;
    link.textContent = line;
  }

  /** Of several files, all sent from here together: "6 of 10", "41 of 120 MB", "15 sec left". */
  #together() {
    const texts = this.#texts;
    const run = this.#run.summary(performance.now());
    if (!run || this.#list.uploads.some(({ file, ended }) => !file && !ended)) return [];
    const size = (/** @type {number} */ bytes) => formatBytes(bytes, texts.lang);
    const parts = [this.#say(texts.counted, { done: run.done, total: run.total })];
    if (run.sent < run.size) parts.push(this.#say(texts.of, { done: size(run.sent), total: size(run.size) }));
    if (run.leftS) parts.push(this.#say(texts.left, { time: formatSeconds(run.leftS, texts.lang) }));
    return parts;
  }

  // ---- speaking

  #summary() {
    return this.#say(this.#texts.summary, tally(this.#list.uploads));
  }

  /**
   * @param {Text} text
   * @param {Values} values
   */
  #say(text, values) {
    return fill(text, values, this.#texts.lang);
  }
}

/** @param {Upload[]} uploads */
function tally(uploads) {
  const { sending, working, done, cancelled, trouble } = overview(uploads.map(({ state }) => state));
  return { active: sending + working, done, cancelled, trouble };
}

define("upload-panel", UploadPanel);
