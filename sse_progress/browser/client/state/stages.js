/** The stages of an upload in order, and their shares of the whole percent. */

/** @import { Stage, StageName } from "../index.js" */

import { STAGE_TABLE } from "../service/wire.js";

/**
 * Every stage in order: its share of the whole percent.
 * @type {readonly Stage[]}
 */
export const STAGES = Object.freeze(STAGE_TABLE.map((stage) => Object.freeze(stage)));

/** @type {ReadonlyMap<string, Stage>} */
const STAGE = new Map(STAGES.map((stage) => [stage.name, stage]));

/**
 * Percent of the whole upload, for `stageProgress` (0-100) within `stage`, which is in the table.
 * @param {StageName} stage
 * @param {number} stageProgress
 */
export function percent(stage, stageProgress) {
  const { lo, hi } = /** @type {Stage} */ (STAGE.get(stage));
  return Math.min(hi, lo + Math.floor((stageProgress * (hi - lo + 1)) / 100));
}

/**
 * Place of a stage in the order; -1 before the first and for one that is not in the table.
 * @param {string | null} stage
 */
export function rankOf(stage) {
  return STAGE.get(stage ?? "")?.rank ?? -1;
}
