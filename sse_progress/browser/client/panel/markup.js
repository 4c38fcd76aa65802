/** Elements from constant markup, for the web components; and what they have in common to say. */

const ICONS = {
  cross: "M4 4l8 8M12 4l-8 8",
  chevron: "M4 6l4 4 4-4",
  again: "M13 8a5 5 0 1 1-1.5-3.6M13 2.5V5h-2.5",
  pause: "M6 4v8M10 4v8",
  play: "M5.5 4v8l6.5-4z",
};

/** Without a document, as when a server renders, components can be imported and define nothing. */
export const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

/**
 * Define a component, once, where there is a document.
 * @param {string} name
 * @param {CustomElementConstructor} component
 */
export function define(name, component) {
  if (globalThis.customElements && !customElements.get(name)) customElements.define(name, component);
}

/**
 * A shadow root with this style, which `style-src 'self'` allows where it forbids a <style>.
 * @param {HTMLElement} host
 * @param {string} style
 * @param {string} html
 */
export function shadow(host, style, html) {
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(style);
  root.adoptedStyleSheets = [sheet];
  root.append(fragment(html));
  return root;
}

/** @param {string} html */
export function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // constant markup of these files, never a value
  return template.content;
}

/** @param {keyof typeof ICONS} name */
export function icon(name) {
  const svg = fragment(`<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`);
  return /** @type {Element} */ (svg.firstElementChild);
}

/**
 * What finds the elements of a component's own markup, which are all there.
 * @param {ParentNode} root
 * @returns {(selector: string) => HTMLElement}
 */
export function within(root) {
  return (selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
}

/**
 * @param {HTMLElement} element
 * @param {number} value
 * @param {string} text
 */
export function gauge(element, value, text) {
  element.style.setProperty("--value", String(value));
  element.setAttribute("aria-valuenow", String(value));
  element.setAttribute("aria-valuetext", text);
}

/**
 * @param {HTMLElement} button
 * @param {string} text
 */
export function label(button, text) {
  button.title = text;
  button.setAttribute("aria-label", text);
}
