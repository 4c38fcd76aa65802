/**
 * Reads the service's own OpenAPI document and shows it. Nothing comes from anywhere else, and no
 * markup is built from what the document says.
 */

/**
 * @typedef {Record<string, any>} Json Part of the document.
 * @typedef {{ path: string, method: string } & Json} Operation
 * @typedef {(Node | string)[]} Children
 * @typedef {{ name: string, required: boolean, type: Children, about: string }} Described
 */

import { element, one } from "../dom.js";

const METHODS = ["get", "head", "post", "put", "patch", "delete", "options"];

const page = one("document");
const contents = one("contents");

try {
  const response = await fetch(new URL("../../openapi.json", import.meta.url));
  if (!response.ok) throw new Error(`the service answered ${response.status}`);
  show(await response.json());
} catch (error) {
  page.replaceChildren(
    element("p", {
      className: "empty",
      role: "alert",
      textContent: `The description could not be read: ${/** @type {Error} */ (error).message}.`,
    }),
  );
}
page.ariaBusy = "false";

/** @param {Json} api */
function show(api) {
  const operations = Object.entries(api.paths ?? {}).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({
      path,
      method,
      shared: item.parameters ?? [],
      ...item[method],
    })),
  );
  const schemas = Object.entries(api.components?.schemas ?? {});
  page.replaceChildren(
    element("h1", { textContent: api.info?.title ?? "API" }),
    text(api.info?.description),
    ...groups(operations).flatMap(([tag, rows]) => [part(tag), ...rows.map((row) => operation(row, api))]),
    part("Schemas"),
    ...schemas.map(([name, schema]) => schemaCard(name, schema)),
  );
  contents.replaceChildren(
    ...groups(operations).flatMap(([tag, rows]) => [
      element("h2", { textContent: tag }),
      ...rows.map(operationLink),
    ]),
    element("h2", { textContent: "Schemas" }),
    ...schemas.map(([name]) => element("a", { href: `#${schemaId(name)}`, textContent: name })),
  );
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

/**
 * Operations by their first tag, in the document's order.
 * @param {Operation[]} operations
 */
function groups(operations) {
  /** @type {Map<string, Operation[]>} */
  const byTag = new Map();
  for (const row of operations) {
    const tag = row.tags?.[0] ?? "Operations";
    byTag.set(tag, [...(byTag.get(tag) ?? []), row]);
  }
  return [...byTag];
}

/**
 * @param {Operation} row
 * @param {Json} api
 */
function operation(row, api) {
  const parameters = [...row.shared, ...(row.parameters ?? [])].map((parameter) => follow(parameter, api));
  return element("section", { className: "operation", id: operationId(row) }, [
    element("h3", {}, [method(row.method), row.path]),
    text(row.summary, row.description),
    ...titled("Parameters", parameters.length && element("table", {}, [rows(parameters.map(parameterRow))])),
    ...titled("Body", row.requestBody && body(follow(row.requestBody, api))),
    ...titled("Answers", answers(row.responses ?? {}, api)),
  ]);
}

/**
 * @param {Json} parameter
 * @returns {Described}
 */
function parameterRow({ name, in: place, required, schema, description }) {
  return { name, required, type: [...typeOf(schema), ` in ${place}`], about: description };
}

/** @param {Json} request */
function body({ content = {}, description }) {
  return element("div", {}, [
    text(description),
    ...Object.entries(content).map(([type, { schema }]) =>
      element("div", {}, [
        element("p", { className: "type" }, [element("code", { textContent: type }), " ", ...typeOf(schema)]),
        schema?.properties ? properties(schema) : "",
      ]),
    ),
  ]);
}

/**
 * @param {Json} responses
 * @param {Json} api
 */
function answers(responses, api) {
  const made = Object.entries(responses).map(([status, response]) => {
    const { description = "", content = {}, headers = {} } = follow(response, api);
    const types = Object.entries(content).map(([type, { schema }]) =>
      element("p", { className: "type" }, [element("code", { textContent: type }), " ", ...typeOf(schema)]),
    );
    const names = Object.keys(headers);
    const sent = names.length
      ? [element("p", { className: "type", textContent: `Headers: ${names.join(", ")}` })]
      : [];
    const code = element("b", { textContent: status });
    code.dataset.class = status[0];
    return element("div", { className: "answer" }, [
      code,
      element("div", {}, [text(description), ...types, ...sent]),
    ]);
  });
  return made.length ? element("div", {}, made) : null;
}

/**
 * @param {string} name
 * @param {Json} schema
 */
function schemaCard(name, schema) {
  return element("section", { className: "schema", id: schemaId(name) }, [
    element("h3", { textContent: name }),
    text(schema.description),
    schema.properties ? properties(schema) : element("p", { className: "type" }, typeOf(schema)),
  ]);
}

/** @param {Json} schema */
function properties({ properties: known, required = [] }) {
  const described = Object.entries(known).map(([name, schema]) => ({
    name,
    required: required.includes(name),
    type: typeOf(schema),
    about: schema.description,
  }));
  return element("table", {}, [rows(described)]);
}

/** @param {Described[]} described */
function rows(described) {
  return element(
    "tbody",
    {},
    described.map(({ name, required, type, about }) => {
      const flag = required ? element("span", { className: "required", textContent: "required" }) : "";
      const head = element("th", { scope: "row" }, [element("code", { textContent: name }), flag]);
      return element("tr", {}, [
        head,
        element("td", {}, [element("div", { className: "type" }, type), text(about)]),
      ]);
    }),
  );
}

/**
 * A schema in a line: names are links, the rest are words.
 * @param {Json | undefined} schema
 * @returns {Children}
 */
function typeOf(schema) {
  if (!schema) return ["any"];
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    return [element("a", { href: `#${schemaId(name)}`, textContent: name })];
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices)
    return choices.flatMap((/** @type {Json} */ choice, /** @type {number} */ at) => [
      at ? " or " : "",
      ...typeOf(choice),
    ]);
  if (schema.allOf)
    return schema.allOf.flatMap((/** @type {Json} */ part, /** @type {number} */ at) => [
      at ? " and " : "",
      ...typeOf(part),
    ]);
  if (schema.enum)
    return [schema.enum.map((/** @type {unknown} */ value) => JSON.stringify(value)).join(" | ")];
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.type === "array" || schema.items) return ["list of ", ...typeOf(schema.items)];
  const name = Array.isArray(schema.type) ? schema.type.join(" or ") : (schema.type ?? "any");
  return [[name, schema.format && `(${schema.format})`, limits(schema)].filter(Boolean).join(" ")];
}

/** @param {Json} schema */
function limits({ minimum, maximum, maxLength, pattern }) {
  const range = minimum !== undefined || maximum !== undefined ? `${minimum ?? ""}…${maximum ?? ""}` : "";
  return [range, maxLength && `≤ ${maxLength} characters`, pattern && `/${pattern}/`]
    .filter(Boolean)
    .join(", ");
}

/**
 * What `thing` is, or what it refers to.
 * @param {Json} thing
 * @param {Json} api
 * @returns {Json}
 */
function follow(thing, api) {
  if (!thing?.$ref?.startsWith("#/")) return thing;
  const steps = thing.$ref
    .slice(2)
    .split("/")
    .map((/** @type {string} */ step) => step.replace(/~1/g, "/").replace(/~0/g, "~"));
  return (
    steps.reduce((/** @type {Json | undefined} */ found, /** @type {string} */ step) => found?.[step], api) ??
    {}
  );
}

/** @param {Operation} row */
function operationLink(row) {
  return element("a", { href: `#${operationId(row)}` }, [method(row.method), row.path]);
}

/** @param {string} name */
function method(name) {
  const badge = element("span", { className: "method", textContent: name.toUpperCase() });
  badge.dataset.method = name;
  return badge;
}

/**
 * @param {string} title
 * @param {Node | false | 0 | null | undefined} made
 */
function titled(title, made) {
  return made ? [element("h4", { textContent: title }), made] : [];
}

/** @param {string} title */
function part(title) {
  return element("h2", { className: "part", textContent: title });
}

/** @param {(string | undefined)[]} parts */
function text(...parts) {
  const words = [...new Set(parts.filter(Boolean))].join("\n");
  const pieces = words
    .split(/`([^`]+)`/)
    .map((piece, at) => (at % 2 ? element("code", { textContent: piece }) : piece));
  return words ? element("p", { className: "text" }, pieces) : "";
}

/** @param {Pick<Operation, "method" | "path">} row */
function operationId({ method: verb, path }) {
  return `${verb}-${path.replace(/[^\w]+/g, "-")}`;
}

/** @param {string} name */
function schemaId(name) {
  return `schema-${name}`;
}
