// Prints the reference of the npm package's entry points as JSON, by page, in Markdown: made from the comments
// in client/*.d.ts, and from the elements' styles and texts for what those have by default.
// Ends with 1, and says why, where something that is public has no comment.
import { readFileSync } from "node:fs";
import { STYLE as DROP_STYLE } from "../sse_progress/browser/client/drop/style.js";
import { STYLE as PANEL_STYLE } from "../sse_progress/browser/client/panel/style.js";
import { TEXTS } from "../sse_progress/browser/client/text/texts.js";
import ts from "../tests/js/node_modules/typescript/lib/typescript.js";

const element = (name) =>
  `An element of \`sse-progress-client/${name}\`, or of \`/client/${name}.js\` of a running service.`;
const USES = "How to use it: [in the browser](../integrate/browser.md).";
const KNOWS = "With it [`<upload-panel>`](panel.md) and [`<upload-drop>`](drop.md) are known in";
const SHAPES = "Shapes that are not here are those of [the ES module](browser.md).";

/** By page: the declarations, a title, what is said first; `loose` where members of a shape may lack a comment. */
const PAGES = {
  browser: {
    from: "index",
    title: "The ES module",
    intro: `\`npm install sse-progress-client\`, or \`/client/index.js\` of a running service. ${USES}`,
    loose: true,
  },
  panel: {
    from: "panel",
    title: "`<upload-panel>`",
    intro: `${element("panel")} ${USES} ${SHAPES}`,
    style: PANEL_STYLE,
  },
  drop: {
    from: "drop",
    title: "`<upload-drop>`",
    intro: `${element("drop")} ${USES} ${SHAPES} Its words are among [those of the panel](panel.md#texts).`,
    style: DROP_STYLE,
  },
  react: {
    from: "react",
    title: "React",
    intro: `\`sse-progress-client/react\`, for React 18 and later. ${KNOWS} JSX: properties and events of theirs need React 19. ${SHAPES}`,
  },
  vue: {
    from: "vue",
    title: "Vue",
    intro: `\`sse-progress-client/vue\`, for Vue 3.3 and later. ${KNOWS} templates and JSX. ${SHAPES}`,
  },
  uppy: {
    from: "uppy",
    title: "Uppy",
    intro: `\`sse-progress-client/uppy\`, for Uppy 4 and later, beside Tus or XHRUpload: [an example](../integrate/resumable.md). ${SHAPES}`,
  },
};

/** Interfaces that have a part of the page to themselves, by the end of their names. */
const OWN_PARTS = ["Attributes", "Events", "Texts"];

const bare = [];

function parsed(name) {
  const path = new URL(`../sse_progress/browser/client/${name}.d.ts`, import.meta.url);
  return ts.createSourceFile(`${name}.d.ts`, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
}

/** The statements that are exported, with types that are passed on from another file. */
function exported(source) {
  return source.statements.flatMap((one) => {
    if (!ts.isExportDeclaration(one) || !one.moduleSpecifier)
      return one.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ? [one] : [];
    const names = new Set(one.exportClause.elements.map(({ name }) => name.text));
    const other = parsed(one.moduleSpecifier.text.replace(/^\.\/|\.js$/g, ""));
    return exported(other).filter(({ name }) => name && names.has(name.text));
  });
}

/** The comment of a node, on one line. */
function said(node) {
  const [comment] = ts.getJSDocCommentsAndTags(node);
  return comment ? (ts.getTextOfJSDocComment(comment.comment)?.replace(/\s+/g, " ") ?? "") : "";
}

/** A declaration as it is written, without what only TypeScript needs. */
function written(node) {
  const text = node.getText().replace(/\s+/g, " ").replace(/;$/, "").replace(/\( /, "(").replace(/, \)/, ")");
  return `\`${text.replace(/^(export |declare |function |const |type |readonly )+/, "")}\``;
}

function line(node, text) {
  return text ? `- ${written(node)}: ${text}` : `- ${written(node)}`;
}

/** What a text is where the page says nothing, after its description; a table of texts on lines of their own. */
function byDefault(value) {
  if (typeof value === "string") return ` Default: "${value}"`;
  if (value.other)
    return ` Default: ${Object.values(value)
      .map((form) => `"${form}"`)
      .join(", ")}`;
  return Object.entries(value)
    .map(([code, text]) => `\n    - \`${code}\`: "${text}"`)
    .join("");
}

class Page {
  constructor(name, { from, title, intro, loose = false, style = "" }) {
    Object.assign(this, { name, from, title, intro, loose, style });
    this.statements = exported(parsed(from));
    this.shapes = new Set(this.found(ts.isInterfaceDeclaration).map(({ name }) => name.text));
  }

  found(test) {
    return this.statements.filter(test);
  }

  /** Note a lack. */
  demand(text, what) {
    if (!text) bare.push(`${this.from}.d.ts: ${what}`);
  }

  members(node) {
    return (node.members ?? []).flatMap((one) => {
      if (one.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword)) return [];
      const text = said(one);
      if (!this.loose || ts.isClassDeclaration(node))
        this.demand(text, `${node.name.text}: ${one.getText()}`);
      const usual = node.name.text.endsWith("Texts") ? byDefault(TEXTS[one.name.text]) : "";
      return [`${line(one, text)}${usual}`];
    });
  }

  /** What an interface takes over: a link, where that has a heading. */
  inherited(node) {
    if (!ts.isInterfaceDeclaration(node)) return [];
    const names = (node.heritageClauses ?? []).flatMap(({ types }) => types.map((type) => type.getText()));
    const link = (name) => `[${name}](${this.shapes.has(name) ? "" : "browser.md"}#${name.toLowerCase()})`;
    return names.length ? [`And what is in ${names.map(link).join(", ")}.`] : [];
  }

  /** Of a class or an interface. */
  section(node, heading) {
    const text = said(node);
    if (!this.loose || ts.isClassDeclaration(node)) this.demand(text, node.name.text);
    const members = this.members(node);
    const listed = members.length ? [members.join("\n")] : [];
    return [heading, ...(text ? [text] : []), ...this.inherited(node), ...listed];
  }

  list(heading, nodes, needed) {
    const lines = nodes.map((node) => {
      const named = ts.isVariableStatement(node) ? node.declarationList : node;
      const text = said(node);
      if (needed) this.demand(text, named.getText());
      return line(named, text);
    });
    return lines.length ? [heading, lines.join("\n")] : [];
  }

  /** The properties that the style takes from the page around, with their values without it. */
  customProperties() {
    const found = new Map();
    for (const [, name, value] of this.style.matchAll(/var\((--upload-[\w-]+), (.+?)\);/g)) {
      const [, light, dark] = /^light-dark\((.+), (.+)\)$/.exec(value) ?? [];
      const values = light ? `\`${light}\`, dark \`${dark}\`` : `\`${value}\``;
      found.set(name, [...(found.get(name) ?? []), values]);
    }
    const rows = [...found].map(([name, values]) => `| \`${name}\` | ${values.join(" or ")} |`);
    if (!rows.length) return [];
    return ["## CSS custom properties", ["| property | without it |", "|---|---|", ...rows].join("\n")];
  }

  markdown() {
    const functions = this.found((one) => ts.isFunctionDeclaration(one) || ts.isVariableStatement(one));
    const classes = this.found(ts.isClassDeclaration);
    const interfaces = this.found(ts.isInterfaceDeclaration);
    const part = ({ name }) => OWN_PARTS.find((end) => name.text.endsWith(end));
    const shapes = [
      ...this.list("", this.found(ts.isTypeAliasDeclaration), !this.loose).slice(1),
      ...interfaces.filter((one) => !part(one)).flatMap((one) => this.section(one, `### ${one.name.text}`)),
    ];
    const parts = [
      `# ${this.title}`,
      `<!-- Made from sse_progress/browser/client/${this.from}.d.ts by scripts/generate: change that. -->`,
      this.intro,
      ...this.list("## Functions", functions, true),
      ...(classes.length ? ["## Classes"] : []),
      ...classes.flatMap((one) => this.section(one, `### ${one.name.text}`)),
      ...OWN_PARTS.flatMap((end) =>
        interfaces.filter((one) => part(one) === end).flatMap((one) => this.section(one, `## ${end}`)),
      ),
      ...this.customProperties(),
      ...(shapes.length ? ["## Shapes", ...shapes] : []),
    ];
    return `${parts.join("\n\n")}\n`;
  }
}

const pages = Object.entries(PAGES).map(([name, page]) => [name, new Page(name, page).markdown()]);
if (bare.length) {
  console.error(`No comment at\n${bare.join("\n")}`);
  process.exit(1);
}
console.log(JSON.stringify(Object.fromEntries(pages)));
