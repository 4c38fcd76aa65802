/** The one error that this module's promises reject with. */

/** @import { UploadFailure } from "../index.js" */

export class UploadError extends Error {
  /**
   * `code` is stable (CONTRACT's codes, and `network` for a service that could not be reached);
   * `detail` one sentence for a person; `stage` where it happened; `status` the HTTP status or 0.
   * @param {Partial<UploadFailure> & { code: string, status?: number }} failure
   */
  constructor({ code, detail = "", stage = null, status = 0 }) {
    super(detail ? `${code}: ${detail}` : code);
    this.name = "UploadError";
    this.code = code;
    this.detail = detail;
    this.stage = stage;
    this.status = status;
  }
}
