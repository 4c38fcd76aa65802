/** The reader's language: which one it is, and its texts, loaded when they are needed. */

/** @import { Texts } from "./texts.js" */

import { TEXTS } from "./texts.js";

/** @type {Record<string, () => Promise<{ texts: Texts }>>} */
const LOCALES = {
  en: async () => ({ texts: TEXTS }),
  de: () => import("./locales/de.js"),
  es: () => import("./locales/es.js"),
  fr: () => import("./locales/fr.js"),
};

/**
 * The first of `languages` that there are texts for; English if there is none.
 * @param {readonly string[]} [languages] BCP 47 tags, the reader's by default
 */
export function localeOf(languages = globalThis.navigator?.languages ?? []) {
  return languages.map((tag) => tag.split("-")[0].toLowerCase()).find((tag) => tag in LOCALES) ?? "en";
}

/**
 * The texts of a language; English where they cannot be loaded.
 * @param {string} locale
 * @returns {Promise<Texts>}
 */
export async function loadTexts(locale) {
  try {
    return (await LOCALES[locale]()).texts;
  } catch {
    return TEXTS;
  }
}
