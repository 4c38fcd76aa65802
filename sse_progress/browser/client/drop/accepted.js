/** What the service accepts, and why a file is refused, in words. */

/**
 * @import { Refusal, Rules } from "../send/restrictions.js"
 * @import { Texts } from "../text/texts.js"
 */

import { familiesOf } from "../send/restrictions.js";
import { fill, formatBytes } from "../text/texts.js";

/**
 * "Pictures, video and documents, up to 1 GB each"; "" where it is not known.
 * @param {Rules | null} rules
 * @param {Texts} texts
 */
export function acceptedText(rules, { drop, lang }) {
  if (rules === null) return "";
  const names = familiesOf(rules.acceptedTypes)?.map((family) => drop[family]) ?? [drop.any];
  const list = new Intl.ListFormat(lang, { type: "conjunction" }).format(names);
  const types = list.charAt(0).toLocaleUpperCase(lang) + list.slice(1);
  if (rules.maxUploadBytes === null) return types;
  return fill(drop.accepted, { types, size: formatBytes(rules.maxUploadBytes, lang) }, lang);
}

/**
 * @param {string} name of the file
 * @param {Refusal} refusal
 * @param {Rules | null} rules
 * @param {Texts} texts
 */
export function refusalText(name, refusal, rules, texts) {
  const size = formatBytes(refusal.limit ?? 0, texts.lang);
  const accepted = acceptedText(rules, texts);
  return fill(texts.drop[refusal.code], { name, size, accepted }, texts.lang);
}
