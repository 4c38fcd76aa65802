/** The page's words in the reader's language: its own, and those that it shares with the panel. */

import { loadTexts, localeOf } from "../client/locale.js";
import { fill } from "../client/texts.js";
import { WORDS } from "./locales.js";

/** @import { Values, Text } from "../client/texts.js" */

const locale = localeOf();

export const texts = await loadTexts(locale);
export const words = WORDS[/** @type {keyof typeof WORDS} */ (locale)];
export const { lang } = texts;

/**
 * @param {Text} text
 * @param {Values} values
 */
export function say(text, values) {
  return fill(text, values, lang);
}

/** Put words in place of the English ones of the document, where an element names them. */
export function speak() {
  document.documentElement.lang = lang;
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-words]"))) {
    const name = /** @type {keyof typeof WORDS["en"]["page"]} */ (element.dataset.words);
    element.textContent = words.page[name];
  }
}
