/**
 * The stages of each kind of upload, as `GET /config` tells them: which there are, in their order, and
 * what they are called. What is not told yet, or not any more, is what an upload itself has passed.
 */

/**
 * @import { Client, UploadState } from "../index.js"
 * @import { Texts } from "../text/texts.js"
 *
 * @typedef {Readonly<{ name: string, title?: string, titles?: Record<string, string> }>} StageRow
 * @typedef {Pick<UploadState, "kind" | "passed" | "stage" | "endedIn">} Passing
 */

import { Observers } from "../service/observers.js";
import { STAGES } from "./stages.js";
import { fill, messageText } from "../text/texts.js";

const DEFAULT_KIND = "upload";
/** Milliseconds until a service that did not know a kind, or did not answer, is asked again. */
const AGAIN_MS = 10_000;

/** @type {readonly StageRow[]} */
const USUAL = STAGES.filter((row) => !row.terminal);
const USUAL_TITLES = new Map(USUAL.map(({ name, title }) => [name, title]));
const ENDS = new Set(STAGES.filter((row) => row.terminal).map((row) => row.name));

/** @type {WeakMap<Client, Kinds>} */
const kinds = new WeakMap();

/**
 * The kinds of a client's service, asked for once by everybody who shows its uploads.
 * @param {Client} client
 */
export function kindsOf(client) {
  const known = kinds.get(client) ?? new Kinds(client);
  kinds.set(client, known);
  return known;
}

export class Kinds {
  #client;
  /** @type {Map<string, readonly StageRow[]>} by the kind's name */
  #tables = new Map();
  /** @type {Observers<[]>} */
  #observers = new Observers();
  #askedAt = Number.NEGATIVE_INFINITY;

  /** @param {Client} client */
  constructor(client) {
    this.#client = client;
  }

  /**
   * `listener()` when more is known.
   * @param {() => void} listener
   * @param {{ signal?: AbortSignal }} [options]
   */
  observe(listener, options) {
    return this.#observers.add(listener, options);
  }

  /**
   * The stages of this upload, in their order, without its ends.
   * @param {Passing} state
   * @returns {readonly StageRow[]}
   */
  stages(state) {
    const told = this.#tables.get(state.kind ?? DEFAULT_KIND);
    if (!told) void this.#ask();
    return stagesOf(state, told ?? (state.kind === null ? USUAL : null));
  }

  async #ask() {
    if (performance.now() < this.#askedAt + AGAIN_MS) return;
    this.#askedAt = performance.now();
    try {
      const headers = await this.#client.headers();
      const response = await fetch(new URL("config", this.#client.url), { headers });
      if (!response.ok) return;
      const { kinds: told = {} } = await response.json();
      for (const [name, kind] of Object.entries(told)) this.#tables.set(name, tableOf(kind));
      this.#observers.notify();
    } catch {
      // the service is away, or is an older one: asked again later
    }
  }
}

/**
 * `table`, unless the upload has passed stages that are not in it: then it is from before the table was
 * changed, and only what it has passed is known.
 * @param {Passing} state
 * @param {readonly StageRow[] | null} table
 * @returns {readonly StageRow[]}
 */
export function stagesOf({ passed, stage, endedIn }, table) {
  const seen = [...new Set([...passed.map((row) => row.stage), endedIn ?? stage])].filter(
    (name) => name !== null && !ENDS.has(name),
  );
  const rows = new Map((table ?? []).map((row) => [row.name, row]));
  if (table && seen.every((name) => rows.has(/** @type {string} */ (name)))) return table;
  return seen.map((name) => rows.get(/** @type {string} */ (name)) ?? { name: String(name) });
}

/**
 * A stage in words: those of the reader's language where it is a usual one, or what its kind calls it.
 * @param {Texts} texts
 * @param {readonly StageRow[]} stages
 * @param {string | null} name
 */
export function stageText(texts, stages, name) {
  if (!name) return "";
  const { title, titles } = stages.find((row) => row.name === name) ?? {};
  const usual = USUAL_TITLES.has(name) || ENDS.has(name);
  const renamed = titles || (title && ![USUAL_TITLES.get(name), inWords(name)].includes(title));
  if (!(usual && renamed) && texts.stage[name]) return texts.stage[name];
  return titles?.[texts.lang] ?? title ?? inWords(name);
}

/**
 * What the service says of the work, in the reader's language where it is known. Of a stage that is an
 * operator's own it says the title as it begins and ends.
 * @param {Texts} texts
 * @param {readonly StageRow[]} stages
 * @param {UploadState} state
 */
export function sentenceText(texts, stages, state) {
  const title = stages.find((row) => row.name === state.stage)?.title;
  if (title && !state.messageKey) {
    const stage = stageText(texts, stages, state.stage);
    if (state.message === title) return stage;
    if (state.message === `${title} is done`) return fill(texts.stageDone, { stage });
  }
  return messageText(texts, state);
}

/** @param {any} kind */
function tableOf(kind) {
  /** @type {StageRow[]} */
  const rows = Array.isArray(kind?.stages) ? kind.stages : [];
  return Object.freeze(rows.filter(({ name }) => !ENDS.has(name)));
}

/** @param {string} name */
function inWords(name) {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}
