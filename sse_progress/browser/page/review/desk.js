/** A reviewer's desk: what waits for a person, one upload at a time, and what is decided about it. */

/**
 * @import { Service } from "../../client/service/service.js"
 *
 * @typedef {object} Review
 * @property {string} uploadId
 * @property {string} owner
 * @property {string} since
 * @property {string} url
 * @property {string} [filename]
 * @property {string} [contentType]
 * @property {number} [size]
 * @property {string} [kind]
 * @property {{ detail?: string, where?: string, rule?: string, code?: string, score?: number }[]} [reasons]
 * @property {Record<string, number>} [scores]
 * @property {string[]} [notChecked]
 *
 * @typedef {"approve" | "refuse"} Decision
 * @typedef {{ status: number, review: Review | null }} Given
 */

import { uploadPath } from "../../client/service/paths.js";

/** Seconds for which nobody else is given what lies here; asked again while it does. */
export const LEASE_S = 90;
/** How many are counted at most. */
export const COUNTED = 200;
/** What was skipped is offered again after as many others. */
const SKIPPED = 100;

export class Desk {
  #service;
  #name = crypto.getRandomValues(new Uint32Array(2)).join("-");
  /** @type {string[]} */
  #skipped = [];

  /** @param {Service} service */
  constructor(service) {
    this.#service = service;
  }

  /**
   * What to look at now: the same until it is decided or skipped. Status 0: the service is away.
   * @returns {Promise<Given>}
   */
  async next() {
    const body = { desk: this.#name, leaseS: LEASE_S, skip: this.#skipped };
    const answer = await this.#post("reviews/next", body);
    if (answer.status === 204 && this.#skipped.length) {
      this.#skipped = []; // nothing else waits: once more from the beginning
      return this.next();
    }
    return { status: answer.status, review: answer.status === 200 ? answer.body : null };
  }

  /** @param {Review} review */
  skip({ uploadId }) {
    this.#skipped = [...this.#skipped.filter((id) => id !== uploadId), uploadId].slice(-SKIPPED);
  }

  /**
   * Resolves to the answer's status: 204; 409, and 404, where somebody else, or time, was first.
   * @param {Review} review
   * @param {Decision} decision
   * @param {string} reason
   */
  async decide({ uploadId }, decision, reason) {
    const body = reason ? { decision, reason } : { decision };
    return (await this.#post(uploadPath(uploadId, "/review"), body)).status;
  }

  /** How many wait, up to 200; null if that is not known. */
  async count() {
    const answer = await this.#service
      .request("GET", "reviews", { params: { limit: COUNTED } })
      .catch(() => null);
    return answer?.status === 200 ? /** @type {unknown[]} */ (answer.body.reviews).length : null;
  }

  /**
   * @param {string} path
   * @param {object} json
   */
  #post(path, json) {
    return this.#service.request("POST", path, { json }).catch(() => ({ status: 0, body: null }));
  }
}
