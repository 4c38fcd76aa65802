/** The page's words in the reader's language: its own, and those that it shares with the panel. */

import { loadTexts, localeOf } from "../client/text/locale.js";
import { fill } from "../client/text/texts.js";
import { WORDS } from "./locales.js";

/** @import { Values, Text } from "../client/text/texts.js" */

export const locale = /** @type {keyof typeof WORDS} */ (localeOf());

export const texts = await loadTexts(locale);
export const words = WORDS[locale];
export const { lang } = texts;

/**
 * @param {Text} text
 * @param {Values} values
 */
export function say(text, values) {
  return fill(text, values, lang);
}

/**
 * Put words in place of the English ones of the document, where an element names them.
 * @param {Record<string, string>} [own]
 */
export function speak(own = words.page) {
  document.documentElement.lang = lang;
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-words]"))) {
    element.textContent = own[element.dataset.words ?? ""];
  }
}
