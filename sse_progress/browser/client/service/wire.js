/**
 * What the service and the browser have to agree on. Made by scripts/generate from
 * model/stage_table.py, model/ids.py, model/errors.py and settings/declared.py: change those.
 */

/** Every stage in order: its place, its share of the whole percent, its title in `GET /config`. */
export const STAGE_TABLE = /** @type {const} */ ([
  { name: "receiving", rank: 1, lo: 0, hi: 9, terminal: false, title: "Upload" },
  { name: "file_received", rank: 2, lo: 10, hi: 10, terminal: false, title: "Stored" },
  { name: "validating", rank: 3, lo: 20, hi: 29, terminal: false, title: "Check" },
  { name: "analyzing", rank: 4, lo: 30, hi: 69, terminal: false, title: "Analysis" },
  { name: "moderating", rank: 5, lo: 70, hi: 84, terminal: false, title: "Moderation" },
  { name: "processing", rank: 6, lo: 85, hi: 94, terminal: false, title: "Processing" },
  { name: "finalizing", rank: 7, lo: 95, hi: 99, terminal: false, title: "Record" },
  { name: "complete", rank: 1000, lo: 100, hi: 100, terminal: true, title: "Done" },
  { name: "error", rank: 1001, lo: 0, hi: 0, terminal: true, title: "Failed" },
  { name: "cancelled", rank: 1001, lo: 0, hi: 0, terminal: true, title: "Cancelled" },
]);

/** An upload id matches this as a whole. */
export const UPLOAD_ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9_.~-]{0,127}";

/** Codes that say nothing about the file itself: sending it again may succeed. */
export const FAILURE_CODES = [
  "internal",
  "invalid_upload_id",
  "malformed_multipart",
  "unexpected_part",
  "bad_request",
  "unknown_kind",
  "missing_context",
  "invalid_context",
  "uri_too_long",
  "head_too_large",
  "inconsistent_length",
  "digest_mismatch",
  "checksum_mismatch",
  "unsupported_version",
  "unauthenticated",
  "forbidden",
  "unknown_upload",
  "not_found",
  "method_not_allowed",
  "upload_id_in_use",
  "already_finished",
  "mismatching_offset",
  "batch_closed",
  "replaced",
  "upload_gone",
  "upload_expired",
  "receive_timeout",
  "unsupported_media_type",
  "client_disconnected",
  "server_lost",
  "producer_lost",
  "invalid_stage",
  "too_many_uploads",
  "too_many_streams",
  "too_many_subscriptions",
  "rate_limited",
  "unavailable",
  "insufficient_storage",
  "quota_exceeded",
];

/** Milliseconds of silence before a heartbeat, where the service is not set otherwise. */
export const HEARTBEAT_MS = 15_000;

/** Milliseconds that a POST waits for its result, where the service is not set otherwise. */
export const ANSWER_WAIT_MS = 50_000;
