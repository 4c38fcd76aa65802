/** Words of machines in words for people: types of files, and facts with their units. */

import { lang, words } from "./speech.js";

/** Types whose names say nothing to most people. */
/** @type {Record<string, string>} */
const TYPES = {
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "Word document",
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "Excel workbook",
  "application/vnd.openxmlformats-officedocument.presentationml.presentation": "PowerPoint presentation",
  "application/vnd.oasis.opendocument.text": "OpenDocument text",
  "application/vnd.oasis.opendocument.spreadsheet": "OpenDocument spreadsheet",
  "application/vnd.oasis.opendocument.presentation": "OpenDocument presentation",
  "application/msword": "Word document",
  "application/vnd.ms-excel": "Excel workbook",
  "application/vnd.ms-powerpoint": "PowerPoint presentation",
  "application/octet-stream": "Other file",
};

/**
 * A content type for people: its usual name where it has one, else as it is written.
 * @param {string} contentType
 */
export function typeName(contentType) {
  const name = TYPES[contentType.split(";")[0]] ?? contentType;
  return words.types[name] ?? name;
}

/**
 * A number that a stage has found, with its unit where the name tells it.
 * @param {string} name
 * @param {number} value
 */
export function numberText(name, value) {
  const format = new Intl.NumberFormat(lang, { maximumFractionDigits: 2 });
  if (name === "frameRate") return `${format.format(value)} fps`;
  if (name === "sampleRate") return `${format.format(value / 1000)} kHz`;
  if (name === "channels") return value === 1 ? "Mono" : value === 2 ? "Stereo" : format.format(value);
  return format.format(value);
}

/**
 * A word that a stage has found: names of formats are written in capitals.
 * @param {string} name
 * @param {string} value
 */
export function wordText(name, value) {
  return /^(container|format|codec|videoCodec|audioCodec)$/.test(name) && /^[a-z0-9,]{1,8}$/.test(value)
    ? value.toUpperCase()
    : value;
}
