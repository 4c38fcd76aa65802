/** The helpers that find and make elements: no markup is ever built from values. */

/**
 * The element of the document with this id, which is there.
 * @param {string} id
 */
export function one(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * An element with properties and children.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} [properties]
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
