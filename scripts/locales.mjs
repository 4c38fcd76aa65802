// What the browser's locale files say of stages, events, errors and what was not checked, as JSON by language:
// for the terminal.

import { UNCHECKED } from "../sse_progress/browser/page/unchecked.js";

const LANGUAGES = ["de", "es", "fr"];

const made = {};
for (const language of LANGUAGES) {
  const { texts } = await import(`../sse_progress/browser/client/text/locales/${language}.js`);
  const { stage, message, error, phase } = texts;
  // An end has a title there as a phase.
  const ends = { error: phase.failed, cancelled: phase.cancelled };
  made[language] = { stage: { ...stage, ...ends }, message, error, unchecked: UNCHECKED[language] };
}
console.log(JSON.stringify(made, null, 2));
