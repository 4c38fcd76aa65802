// What the browser's locale files say of stages, events and errors, as JSON by language: for the terminal.

const LANGUAGES = ["de", "es", "fr"];

const made = {};
for (const language of LANGUAGES) {
  const { texts } = await import(`../sse_progress/browser/client/locales/${language}.js`);
  const { stage, message, error } = texts;
  made[language] = { stage, message, error };
}
console.log(JSON.stringify(made, null, 2));
