/** Asking for an access token, which is kept in this tab only. The markup is each page's own. */

import { one } from "./dom.js";
import { words } from "./speech.js";

const KEY = "sse-progress:token";

const field = /** @type {HTMLInputElement} */ (one("token"));
/** Whether a token was given here that has not been accepted yet. */
let tried = false;

/** The token that was given in this tab, or null. */
export function givenToken() {
  return sessionStorage.getItem(KEY);
}

/** Ask, and say why not: `why`, or that the token that was given is not accepted. */
export function askForToken(why = "") {
  one("session").hidden = false;
  one("sign-in-error").textContent = why || (tried ? words.wrongToken : "");
  if (tried) sessionStorage.removeItem(KEY);
}

/** The service has accepted who this is. */
export function signedIn() {
  tried = false;
  one("session").hidden = true;
}

/** @param {(token: string) => void} act with each token that is given */
export function onToken(act) {
  one("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = field.value.trim();
    if (!token) return;
    tried = true;
    one("sign-in-error").textContent = "";
    sessionStorage.setItem(KEY, token);
    field.value = "";
    act(token);
  });
}
