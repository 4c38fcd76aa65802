/** One file that was chosen and not sent yet: its preview, the fields to fill in, a button to leave it out. */

/**
 * @import { Texts } from "../text/texts.js"
 * @import { Field } from "../drop.js"
 */

import { fragment, icon, label, within } from "../panel/markup.js";
import { fill, formatBytes } from "../text/texts.js";

const MARKUP = `
<div class="preview" aria-hidden="true"></div><span class="name"></span><span class="size"></span>
<button type="button" class="remove"></button><div class="fields" hidden></div>`;

export class Chosen {
  #source = "";

  /**
   * @param {File} file
   * @param {readonly Field[]} fields
   * @param {Texts} texts
   */
  constructor(file, fields, texts) {
    this.file = file;
    this.item = document.createElement("li");
    this.item.append(fragment(MARKUP));
    const one = within(this.item);
    one(".name").textContent = one(".name").title = file.name;
    one(".size").textContent = formatBytes(file.size, texts.lang);
    this.remove = /** @type {HTMLButtonElement} */ (one(".remove"));
    this.remove.append(icon("cross"));
    label(this.remove, fill(texts.drop.remove, { name: file.name }, texts.lang));
    this.#preview(one(".preview"));
    one(".fields").hidden = fields.length === 0;
    this.inputs = fields.map((field) => inputOf(field, one(".fields")));
  }

  /** What was filled in; an empty field is left out. */
  get values() {
    return Object.fromEntries(
      this.inputs.map(({ name, value }) => [name, value.trim()]).filter(([, v]) => v),
    );
  }

  /** Free the preview. */
  free() {
    if (this.#source) URL.revokeObjectURL(this.#source);
  }

  /** @param {HTMLElement} place */
  #preview(place) {
    const { name, type } = this.file;
    const dot = name.lastIndexOf(".");
    place.textContent = dot > 0 ? name.slice(dot + 1, dot + 6).toUpperCase() : "";
    const [family] = type.split("/");
    if (family !== "image" && family !== "video") return;
    this.#source = URL.createObjectURL(this.file);
    const shown = document.createElement(family === "image" ? "img" : "video");
    shown.addEventListener(family === "image" ? "load" : "loadeddata", () => place.replaceChildren(shown));
    if (shown instanceof HTMLVideoElement) shown.muted = true;
    shown.src = this.#source;
  }
}

/**
 * @param {Field} field
 * @param {HTMLElement} place
 */
function inputOf({ name, label: words, required = false }, place) {
  const input = document.createElement("input");
  Object.assign(input, { name, required, maxLength: 1000 });
  const labelled = document.createElement("label");
  labelled.append(words ?? name, input);
  place.append(labelled);
  return input;
}
