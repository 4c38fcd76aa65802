/** What the service accepts, from `GET /config`, so that a file is refused before it is sent. */

/**
 * @import { Service } from "../service/service.js"
 *
 * @typedef {object} Rules Of one kind of upload.
 * @property {number | null} maxUploadBytes null: no limit
 * @property {string[]} acceptedTypes empty: any
 *
 * @typedef {{ code: "too_large" | "rejected_type" | "empty_file", limit?: number, accepted?: string[] }} Refusal
 */

/** @type {Rules} */
const NO_RULES = Object.freeze({ maxUploadBytes: null, acceptedTypes: [] });

/**
 * The rules for `kind`; a service that does not tell has none.
 * @param {Service} service
 * @param {string} kind
 * @returns {Promise<Rules>}
 */
export async function readRules(service, kind) {
  const answer = await service.request("GET", "config").catch(() => null);
  const told = answer?.status === 200 ? answer.body?.kinds?.[kind] : null;
  return {
    maxUploadBytes: told?.maxUploadBytes ?? NO_RULES.maxUploadBytes,
    acceptedTypes: Array.isArray(told?.acceptedTypes) ? told.acceptedTypes : NO_RULES.acceptedTypes,
  };
}

/**
 * Why the service would refuse this file for certain; null if it may accept it. The browser tells a type
 * by the name, the service by the content: only a type of a family that is not accepted at all, or of a
 * picture, video or sound that is not listed, is certain.
 * @param {Blob} file
 * @param {Rules} rules
 * @returns {Refusal | null}
 */
export function refusalOf(file, { maxUploadBytes, acceptedTypes }) {
  if (file.size === 0) return { code: "empty_file" };
  if (maxUploadBytes !== null && file.size > maxUploadBytes)
    return { code: "too_large", limit: maxUploadBytes };
  if (fits(file.type, acceptedTypes)) return null;
  return { code: "rejected_type", accepted: acceptedTypes };
}

/**
 * @param {string} type
 * @param {string[]} accepted
 */
function fits(type, accepted) {
  if (!type || accepted.length === 0 || type === "application/octet-stream") return true;
  const family = type.split("/")[0];
  if (["text", "application"].includes(family)) {
    return accepted.some((one) => /^(text|application|\*)\//.test(one)); // names say little of these
  }
  return accepted.some((one) => one === "*/*" || one === type || one === `${family}/*`);
}

/**
 * The families of accepted types, in the order in which people name them; null for any type.
 * @param {string[]} accepted
 * @returns {("image" | "video" | "audio" | "application")[] | null}
 */
export function familiesOf(accepted) {
  if (accepted.length === 0 || accepted.includes("*/*")) return null;
  const families = new Set(accepted.map((type) => type.split("/")[0]));
  if (families.has("text")) families.add("application");
  return /** @type {const} */ (["image", "video", "audio", "application"]).filter((one) => families.has(one));
}
