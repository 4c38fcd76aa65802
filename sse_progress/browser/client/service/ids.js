/** Names for uploads: `upload_` and a UUIDv7 (RFC 9562 §5.7), so that ids sort by time. */

let lastMs = 0;

/** Files that are chosen together keep their order: no two ids of a page share a millisecond. */
function tick() {
  lastMs = Math.max(lastMs + 1, Date.now());
  return lastMs;
}

/**
 * @param {number} [nowMs]
 * @param {Uint8Array} [random] ten bytes
 */
export function newUploadId(nowMs = tick(), random = crypto.getRandomValues(new Uint8Array(10))) {
  const bytes = new Uint8Array(16);
  let rest = nowMs;
  for (let i = 5; i >= 0; i -= 1) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes.set(random, 6);
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `upload_${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
