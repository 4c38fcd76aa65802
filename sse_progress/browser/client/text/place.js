/** Where an upload stands in the queue, in words, and when its turn comes. */

/**
 * @import { UploadState } from "../index.js"
 * @import { Texts } from "./texts.js"
 *
 * @typedef {Pick<UploadState, "queuePosition" | "startsInSeconds">} Place
 */

import { fill, formatSeconds } from "./texts.js";

/**
 * "Waiting, 3rd in line"; "" where no place is known.
 * @param {Texts} texts
 * @param {Place} place
 */
export function placeText(texts, { queuePosition: n }) {
  if (n === null) return "";
  return n === 1 ? texts.nextInLine : fill(texts.inLine, { n }, texts.lang, "ordinal");
}

/**
 * "starts in about 2 min", or that there is no estimate; "" where no place is known. Places come every
 * few seconds: less than a minute is not told to the second.
 * @param {Texts} texts
 * @param {Place} place
 */
export function startText(texts, { queuePosition, startsInSeconds: seconds }) {
  if (queuePosition === null) return "";
  if (seconds === null) return texts.startsUnknown;
  if (seconds < 60) return texts.startsSoon;
  return fill(texts.starts, { time: formatSeconds(seconds, texts.lang) });
}
