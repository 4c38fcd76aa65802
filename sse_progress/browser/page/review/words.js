/** The review page's words in the reader's language. */

import { WORDS } from "./locales.js";
import { locale } from "../speech.js";

export const words = WORDS[locale];
