/**
 * `<upload-drop>`: takes files by drop, picker, folder and paste, and sends them.
 *
 *     <script type="module" src="…/client/drop.js"></script>
 *     <upload-drop url="/api/media" staged folders paste></upload-drop>
 *
 * Attributes: `url` (the service's root; by default where this file came from), `kind`, `lang`, `single` (one
 * file), `folders` (a button for a folder), `paste` (takes what is pasted anywhere on the page),
 * `staged` (shows what was chosen, with previews, before it is sent), `batch` (several files together
 * are one batch).
 * Properties: `client`, `texts`, `context` (a label for every upload), `fields` (text fields for each
 * file: `[{ name, label, required }]`; with some, files are staged).
 * Events: `uploads` with `{ uploads, batch }` once they have begun, `refused` with `[{ file, refusal }]`.
 * Refuses what the service would refuse by its `GET /config`; shows no progress, as `<upload-panel>` does.
 */

/**
 * @import { Client, Upload } from "./index.js"
 * @import { PanelTexts } from "./panel.js"
 * @import { Refusal, Rules } from "./send/restrictions.js"
 *
 * @typedef {{ name: string, label?: string, required?: boolean }} Field
 */

import { acceptedText, refusalText } from "./drop/accepted.js";
import { Chosen } from "./drop/item.js";
import { STYLE } from "./drop/style.js";
import { clientFor } from "./index.js";
import { loadTexts, localeOf } from "./text/locale.js";
import { Base, define, shadow, within } from "./panel/markup.js";
import { filesOf, hasFiles } from "./drop/picking.js";
import { refusalOf } from "./send/restrictions.js";
import { fill, mergeTexts, TEXTS } from "./text/texts.js";

const FRAME = `
<section class="area">
  <p class="lead"><span class="mouse"></span><span class="touch"></span></p>
  <p class="hint"></p>
  <div class="buttons"><button type="button" class="primary choose"></button><button type="button" class="folder" hidden></button></div>
  <input type="file" class="picker" hidden><input type="file" class="tree" webkitdirectory hidden>
</section>
<div role="alert"><ul class="refused"></ul></div>
<form class="staged" hidden>
  <ul class="files"></ul>
  <div class="buttons"><button class="primary send"></button><button type="button" class="clear"></button></div>
</form>`;

export class UploadDrop extends Base {
  static observedAttributes = ["lang", "url", "kind", "single", "folders", "staged"];

  /** @type {Client | null} */
  #client = null;
  #base = TEXTS;
  /** @type {PanelTexts} */
  #own = {};
  #texts = TEXTS;
  /** @type {readonly Field[]} */
  #fields = [];
  /** @type {Rules | null} */
  #rules = null;
  /** @type {Chosen[]} */
  #chosen = [];
  /** @type {AbortController | null} */
  #listening = null;
  #depth = 0;
  #parts;

  /** Labels every upload, for lists and streams to filter by. @type {Record<string, string>} */
  context = {};

  constructor() {
    super();
    const one = within(shadow(this, STYLE, FRAME));
    this.#parts = {
      area: one(".area"),
      mouse: one(".mouse"),
      touch: one(".touch"),
      hint: one(".hint"),
      choose: one(".choose"),
      folder: one(".folder"),
      picker: /** @type {HTMLInputElement} */ (one(".picker")),
      tree: /** @type {HTMLInputElement} */ (one(".tree")),
      refused: one(".refused"),
      staged: one(".staged"),
      files: one(".files"),
      send: one(".send"),
      clear: one(".clear"),
    };
    this.#listenToParts();
  }

  /** The Client that sends; the shared one for the attribute `url` if none was given. */
  get client() {
    return (this.#client ??= clientFor({ url: this.getAttribute("url") ?? undefined }));
  }

  set client(client) {
    this.#client = client;
    void this.#readRules();
  }

  /** @type {PanelTexts} */
  get texts() {
    return this.#texts;
  }

  set texts(own) {
    this.#own = own;
    this.#texts = mergeTexts(own, this.#base);
    this.#draw();
  }

  /** Text fields that are asked for with each file. */
  get fields() {
    return this.#fields;
  }

  set fields(fields) {
    this.#fields = [...fields];
    this.#draw();
  }

  connectedCallback() {
    const { signal } = (this.#listening = new AbortController());
    document.addEventListener("paste", (event) => this.#pasted(event), { signal });
    this.#draw();
    void this.#readRules();
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
    this.#clear();
  }

  attributeChangedCallback() {
    this.#draw();
    if (!this.isConnected) return;
    void this.#readRules();
    void this.#localize();
  }

  /**
   * Take files as if they had been dropped: what the service would refuse is shown as refused, the rest
   * is sent, or staged.
   * @param {Iterable<File>} files
   */
  async take(files) {
    const rules = this.#rules ?? (await this.#readRules());
    const all = this.hasAttribute("single") ? [...files].slice(0, 1) : [...files];
    const judged = all.map((file) => ({ file, refusal: refusalOf(file, rules) }));
    const refused = judged.flatMap(({ file, refusal }) => (refusal ? [{ file, refusal }] : []));
    this.#parts.refused.replaceChildren(...refused.map(({ file, refusal }) => this.#line(file, refusal)));
    if (refused.length) this.dispatchEvent(new CustomEvent("refused", { detail: refused }));
    const good = judged.filter(({ refusal }) => !refusal).map(({ file }) => file);
    if (good.length === 0) return;
    if (this.hasAttribute("staged") || this.#fields.length) this.#stage(good);
    else await this.#send(good.map((file) => ({ file, fields: {} })));
  }

  // ---- taking files

  #listenToParts() {
    const { area, choose, folder, picker, tree, staged, clear } = this.#parts;
    choose.addEventListener("click", () => picker.click());
    folder.addEventListener("click", () => tree.click());
    for (const input of [picker, tree]) {
      input.addEventListener("change", () => {
        void this.take([...(input.files ?? [])]);
        input.value = "";
      });
    }
    area.addEventListener(
      "dragenter",
      (event) => hasFiles(event.dataTransfer) && this.#over(this.#depth + 1),
    );
    area.addEventListener(
      "dragleave",
      (event) => hasFiles(event.dataTransfer) && this.#over(this.#depth - 1),
    );
    area.addEventListener("dragover", (event) => hasFiles(event.dataTransfer) && event.preventDefault());
    area.addEventListener("drop", (event) => {
      this.#over(0);
      if (!event.dataTransfer || !hasFiles(event.dataTransfer)) return;
      event.preventDefault();
      void filesOf(event.dataTransfer).then((files) => this.take(files));
    });
    clear.addEventListener("click", () => {
      this.#clear();
      choose.focus();
    });
    staged.addEventListener("submit", (event) => {
      event.preventDefault();
      const files = this.#chosen.map(({ file, values }) => ({ file, fields: values }));
      this.#clear();
      choose.focus();
      void this.#send(files);
    });
  }

  /** @param {number} depth */
  #over(depth) {
    this.#depth = Math.max(0, depth);
    this.#parts.area.classList.toggle("over", this.#depth > 0);
  }

  /** @param {ClipboardEvent} event */
  #pasted({ clipboardData, target }) {
    const here = this.hasAttribute("paste") || this.contains(/** @type {Node | null} */ (target));
    if (here && clipboardData?.files.length) void this.take([...clipboardData.files]);
  }

  async #readRules() {
    const rules = await this.client.rules(this.getAttribute("kind") ?? undefined);
    this.#rules = rules;
    this.#draw();
    return rules;
  }

  // ---- staged files

  /** @param {File[]} files */
  #stage(files) {
    if (this.hasAttribute("single")) this.#clear();
    for (const file of files) {
      const chosen = new Chosen(file, this.#fields, this.#texts);
      this.#chosen.push(chosen);
      this.#parts.files.append(chosen.item);
      chosen.remove.addEventListener("click", () => this.#drop(chosen));
    }
    this.#draw();
    (this.#chosen.flatMap(({ inputs }) => inputs).find(({ value }) => !value) ?? this.#parts.send).focus();
  }

  /** @param {Chosen} chosen */
  #drop(chosen) {
    const at = this.#chosen.indexOf(chosen);
    chosen.free();
    chosen.item.remove();
    this.#chosen.splice(at, 1);
    this.#draw();
    (this.#chosen[Math.min(at, this.#chosen.length - 1)]?.remove ?? this.#parts.choose).focus();
  }

  #clear() {
    for (const chosen of this.#chosen) chosen.free();
    this.#chosen = [];
    this.#parts.files.replaceChildren();
    this.#draw();
  }

  /** @param {{ file: File, fields: Record<string, string> }[]} files */
  async #send(files) {
    const kind = this.getAttribute("kind") ?? undefined;
    const { client, context } = this;
    const together = this.hasAttribute("batch") && files.length > 1;
    const total = files.length;
    // A batch that could not be made is no reason not to send the files.
    const batch = together ? await client.createBatch({ total, kind, context }).catch(() => null) : null;
    /** @type {Upload[]} */
    const uploads = files.map(({ file, fields }) => {
      return client.upload(file, { fields, kind, context, batch: batch?.id });
    });
    this.dispatchEvent(new CustomEvent("uploads", { detail: { uploads, batch } }));
  }

  // ---- drawing

  #draw() {
    const { mouse, touch, hint, choose, folder, picker, staged, send, clear } = this.#parts;
    const { drop, sendFiles, lang } = this.#texts;
    const single = this.hasAttribute("single");
    mouse.textContent = single ? drop.dropOne : drop.drop;
    touch.textContent = single ? drop.addOne : drop.add;
    choose.textContent = single ? drop.chooseOne : drop.choose;
    folder.textContent = drop.folder;
    folder.hidden = single || !this.hasAttribute("folders");
    picker.multiple = !single;
    picker.accept = this.#rules?.acceptedTypes.filter((type) => type !== "*/*").join(",") ?? "";
    hint.textContent = acceptedText(this.#rules, this.#texts);
    staged.hidden = this.#chosen.length === 0;
    send.textContent = fill(sendFiles, { n: this.#chosen.length }, lang);
    clear.textContent = drop.clear;
  }

  /**
   * @param {File} file
   * @param {Refusal} refusal
   */
  #line(file, refusal) {
    const line = document.createElement("li");
    line.textContent = refusalText(file.name, refusal, this.#rules, this.#texts);
    return line;
  }
}

define("upload-drop", UploadDrop);
