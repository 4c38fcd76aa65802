/** Commands and code for developers, with this service's address and, where one is needed, a token. */

/** @import { Client } from "../client/index.js" */
import { element } from "./dom.js";
import { words } from "./speech.js";

const COPIED_MS = 2_000;

/**
 * Fill every element with a `data-snippet`, and give it a button that copies.
 * @param {Client} client
 */
export function showSnippets(client) {
  const texts = snippets(client);
  for (const box of document.querySelectorAll("[data-snippet]")) {
    box.textContent = texts[box.getAttribute("data-snippet") ?? ""] ?? "";
    if (!box.parentElement?.querySelector(".copy")) box.before(copyButton(box));
  }
}

/**
 * @param {Client} client
 * @returns {Record<string, string>}
 */
function snippets({ url, hasToken }) {
  const header = hasToken ? '-H "Authorization: Bearer $TOKEN" \\\n  ' : "";
  const given = hasToken ? ", { token }" : "";
  const panel = hasToken
    ? `<upload-panel></upload-panel>

// in a module of yours
import { clientFor } from
  "${url}client/index.js";

const client = clientFor({ token });
const media = await client.upload(file).done;`
    : `<upload-panel watch></upload-panel>

// in a module of yours
import { upload } from
  "${url}client/index.js";

const media = await upload(file${given}).done;`;
  return {
    curl: `# send a file, wait for what comes out
curl ${header}-F file=@photo.jpg \\
  ${url}upload

# everything of yours, live
curl -N ${header ? header : "\\\n  "}${url}uploads/progress`,
    module: `<!-- a panel for all uploads -->
<script type="module" src=
  "${url}client/panel.js">
</script>
${panel}`,
  };
}

/** @param {Element} box */
function copyButton(box) {
  const button = element("button", { className: "act copy", type: "button", textContent: words.copy });
  button.addEventListener("click", async () => {
    const done = await copy(box);
    button.textContent = done ? words.copied : words.pressCopy;
    setTimeout(() => {
      button.textContent = words.copy;
    }, COPIED_MS);
  });
  return button;
}

/**
 * To the clipboard where the browser allows it (on HTTPS and localhost), else selected for Ctrl+C.
 * @param {Element} box
 */
async function copy(box) {
  try {
    await navigator.clipboard.writeText(box.textContent ?? "");
    return true;
  } catch {
    getSelection()?.selectAllChildren(box);
    return false;
  }
}
