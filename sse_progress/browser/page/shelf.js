/**
 * The page's list: which uploads have a card, and in what order. However many uploads there are, the
 * newest have one; more are shown on demand, of long ago too.
 */

/** @import { Client, Upload } from "../client/index.js" */

import { Card, bornAt } from "./card.js";
import { isCleared } from "./cleared.js";
import { one } from "./dom.js";
import { Sight } from "./sight.js";
import { lang, say, words } from "./speech.js";

/** How many cards there are, and how many more are shown each time. */
const SHOWN = 50;
const LISTED = 20;
/** How many uploads that had ended before this page was opened are shown in full. */
const OLD_SHOWN = 3;

export class Shelf {
  /**
   * By upload id.
   * @type {Map<string, Card>}
   */
  cards = new Map();

  #client;
  /** @type {Map<string, number>} when each upload began, by id */
  #born = new Map();
  #limit = SHOWN;
  /** Whether more was asked for: from then on nothing that was listed is let go. */
  #unrolled = false;
  #begun = false;
  /** @type {string | null} where the list goes on */
  #next = null;
  #arranging = false;
  /** How many that run have no card. */
  #unseen = 0;
  #sight;
  #onSight;

  /**
   * `onSight()` is called when `inSight` may have changed.
   * @param {Client} client
   * @param {{ onSight: () => void }} owner
   */
  constructor(client, { onSight }) {
    this.#client = client;
    this.#onSight = onSight;
    this.#sight = new Sight(onSight);
    one("older").addEventListener("click", () => void this.#unroll());
  }

  /** Take in the newest part of the list, unless that has been done. */
  async begin() {
    if (this.#begun) return;
    this.#begun = true;
    const read = await this.#client.readList({ limit: LISTED });
    if (read) this.#next = read.next;
    else this.#begun = false;
    this.#arrangeSoon();
  }

  /**
   * Something is new about an upload.
   * @param {Upload} upload
   */
  show(upload) {
    if (isCleared(upload.id)) return;
    const card = this.cards.get(upload.id);
    if (card?.upload === upload) card.drawSoon();
    // One that was followed until now may be sent from here again.
    if (card?.upload !== upload || upload.ended) this.#arrangeSoon();
  }

  /** Whether a card shows each upload of this visit, those that were over before left out. */
  get inSight() {
    return this.#unseen === 0 && [...this.cards.values()].every((card) => card.old || this.#sight.has(card));
  }

  /** @param {string[]} ids */
  remove(ids) {
    for (const id of ids) this.#drop(id);
    this.#arrangeSoon();
  }

  /** @param {string} id */
  #drop(id) {
    const card = this.cards.get(id);
    if (card) this.#sight.leave(card);
    card?.element.remove();
    this.cards.delete(id);
    this.#born.delete(id);
  }

  async #unroll() {
    const { cards } = this;
    const before = new Set(cards.keys());
    this.#unrolled = true;
    this.#limit = cards.size + SHOWN;
    while (this.#next && this.#known().length < this.#limit) {
      const read = await this.#client.readList({ limit: SHOWN, after: this.#next });
      if (!read) break;
      this.#next = read.next;
    }
    this.#arrange();
    const fresh = [...cards.values()].find((card) => !before.has(card.upload.id));
    if (one("older").hidden) (fresh?.parts.name ?? one("choose")).focus();
  }

  #known() {
    return [...this.#client.uploads.values()].filter(({ id }) => !isCleared(id));
  }

  /** Once for all that comes together; a page in the background draws later. */
  #arrangeSoon() {
    if (this.#arranging) return;
    this.#arranging = true;
    requestAnimationFrame(() => this.#arrange());
  }

  /** Newest first, in whatever order they became known; of the old ones, the newest are shown in full. */
  #arrange() {
    this.#arranging = false;
    const order = this.#known()
      .reverse()
      .sort((a, b) => this.#bornAt(b) - this.#bornAt(a));
    if (this.#unrolled) this.#limit = Math.max(this.#limit, this.cards.size);
    const shown = order.slice(0, this.#limit);
    const rest = order.slice(this.#limit);
    const wanted = new Set(shown);
    for (const [id, { upload }] of [...this.cards]) if (!wanted.has(upload)) this.#drop(id);
    shown.forEach((upload, at) => this.#place(upload, at));
    [...this.cards.values()]
      .filter(({ old }) => old)
      .sort((a, b) => this.#bornAt(b.upload) - this.#bornAt(a.upload))
      .forEach((card, at) => card.fold(at >= OLD_SHOWN));
    if (!this.#unrolled) for (const upload of rest) if (upload.ended) upload.forget(); // the list has it
    this.#drawRest(rest);
  }

  /**
   * @param {Upload} upload
   * @param {number} at
   */
  #place(upload, at) {
    let card = this.cards.get(upload.id);
    if (!card) {
      card = new Card(upload, this.#client);
      this.cards.set(upload.id, card);
      this.#sight.watch(card);
      card.drawSoon();
    }
    const list = one("uploads");
    if (list.children[at] !== card.element) list.insertBefore(card.element, list.children[at] ?? null);
  }

  /** @param {Upload[]} rest what has no card */
  #drawRest(rest) {
    const open = rest.filter(({ ended }) => !ended).length;
    this.#unseen = open;
    const n = new Intl.NumberFormat(lang).format(open);
    one("rest").textContent = open ? say(words.rest, { n: open }).replace(String(open), n) : "";
    one("rest").hidden = open === 0;
    one("older").hidden = rest.length === 0 && this.#next === null;
    one("uploads-section").hidden = this.cards.size === 0;
    document.body.classList.toggle("compact", this.cards.size > 0);
    one("clear").hidden = ![...this.cards.values()].some(({ upload }) => upload.ended);
    this.#onSight();
  }

  /** @param {Upload} upload */
  #bornAt(upload) {
    const known = this.#born.get(upload.id) ?? bornAt(upload);
    this.#born.set(upload.id, known);
    return known;
  }
}
