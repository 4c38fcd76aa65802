// Prints the reference of the ES module as Markdown, made from the comments in client/index.d.ts.
// Ends with 1, and says why, for a function, class or method there that has no comment.
import { readFileSync } from "node:fs";
import ts from "../tests/js/node_modules/typescript/lib/typescript.js";

const path = new URL("../sse_progress/browser/client/index.d.ts", import.meta.url);
const source = ts.createSourceFile("index.d.ts", readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
const bare = [];

/** The comment of a node, on one line. */
function said(node) {
  const [comment] = ts.getJSDocCommentsAndTags(node);
  return comment ? (ts.getTextOfJSDocComment(comment.comment)?.replace(/\s+/g, " ") ?? "") : "";
}

/** A declaration as it is written, without what only TypeScript needs. */
function written(node) {
  const text = node.getText().replace(/\s+/g, " ").replace(/;$/, "");
  return `\`${text.replace(/^(export |declare |function |const |type |readonly )+/, "")}\``;
}

function member(node, owner) {
  const text = said(node);
  const isPrivate = node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword);
  if (isPrivate) return [];
  if (!text && ts.isClassDeclaration(node.parent)) bare.push(`${owner}: ${node.getText()}`);
  return [text ? `- ${written(node)}: ${text}` : `- ${written(node)}`];
}

function section(node) {
  const name = node.name.text;
  const members = (node.members ?? []).flatMap((one) => member(one, name));
  const text = said(node);
  if (!text && ts.isClassDeclaration(node)) bare.push(name);
  return [`### ${name}`, ...(text ? [text] : []), ...(members.length ? [members.join("\n")] : [])];
}

function line(node) {
  const named = ts.isVariableStatement(node) ? node.declarationList : node;
  const text = said(node);
  if (!text) bare.push(named.getText());
  return `- ${written(named)}: ${text}`;
}

function alias(node) {
  const text = said(node);
  return text ? `- ${written(node)}: ${text}` : `- ${written(node)}`;
}

const found = (test) => source.statements.filter(test);
const parts = [
  "# The ES module",
  "<!-- Made from sse_progress/browser/client/index.d.ts by scripts/generate: change that. -->",
  "`npm install sse-progress-client`, or `/client/index.js` of a running service. How to use it: [in the browser](../integrate/browser.md).",
  "## Functions",
  found((one) => ts.isFunctionDeclaration(one) || ts.isVariableStatement(one))
    .map(line)
    .join("\n"),
  "## Classes",
  ...found(ts.isClassDeclaration).flatMap(section),
  "## Shapes",
  found(ts.isTypeAliasDeclaration).map(alias).join("\n"),
  ...found(ts.isInterfaceDeclaration).flatMap(section),
];
if (bare.length) {
  console.error(`index.d.ts: no comment at\n${bare.join("\n")}`);
  process.exit(1);
}
console.log(parts.join("\n\n"));
