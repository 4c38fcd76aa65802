/** Reads the journal of an upload from `GET /upload/<id>/history`, part after part. */

/**
 * @import { ProgressEvent, StageName } from "../index.js"
 * @import { Passage } from "./passed.js"
 * @import { Service } from "../service/service.js"
 *
 * @typedef {{ passage: Passage, endedIn: StageName | null, stageProgress: number }} Told
 */

import { NOTHING, pass } from "./passed.js";
import { uploadPath } from "../service/paths.js";

/** A stage that takes a day has fewer than 20,000 events, of which 500 come at a time. */
const PARTS = 200;

/**
 * What the journal says of the stages of `id`: null if there is none, or the service has no history.
 * @param {Service} service
 * @param {string} id
 * @returns {Promise<Told | null>}
 */
export async function readHistory(service, id) {
  /** @type {Told | null} */
  let told = null;
  /** @type {string | null} */
  let since = null;
  for (let part = 0; part < PARTS; part += 1) {
    /** @type {import("../service/service.js").Answer | null} */
    const answer = await service
      .request("GET", uploadPath(id, "/history"), { params: { since } })
      .catch(() => null);
    if (answer?.status !== 200 || !Array.isArray(answer.body?.events)) return null;
    told = tell(told, answer.body.events);
    since = answer.body.next;
    if (!since) return told;
  }
  return null;
}

/**
 * `told`, and what follows it in the journal.
 * @param {Told | null} told
 * @param {Partial<ProgressEvent>[]} events
 * @returns {Told | null}
 */
export function tell(told, events) {
  for (const event of events) {
    const { passage, endedIn, stageProgress } = told ?? {
      passage: NOTHING,
      endedIn: null,
      stageProgress: 0,
    };
    told = {
      passage: pass(passage, event),
      endedIn: event.error?.stage ?? endedIn,
      stageProgress: event.error ? stageProgress : (event.stageProgress ?? 0),
    };
  }
  return told;
}
