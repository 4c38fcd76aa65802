/** A file that goes in parts: over cuts, lost answers, pauses; against a service that is made up. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Turn, fitForParts, retryMs, sendInParts } from "../../sse_progress/browser/client/send/resumable.js";
import { Service } from "../../sse_progress/browser/client/service/service.js";

const MIB = 1024 ** 2;
const file = new Blob([new Uint8Array(20 * MIB).fill(7)], { type: "text/plain" });

/** What a service would keep, and what a test lets go wrong: `faults` are taken in order. */
let stored;
let faults;
let asked;

function answer(status, headers = {}, body = null) {
  return new Response(body === null ? null : JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/problem+json", ...headers },
  });
}

async function service(address, { method, headers, body, signal }) {
  const size = body?.size ?? 0;
  asked.push(`${method} ${new URL(address).pathname} ${headers["Upload-Offset"] ?? ""}`.trim());
  const fault = faults.shift();
  if (fault === "hang") await new Promise((_, reject) => signal.addEventListener("abort", reject));
  if (fault === "cut") throw new TypeError("network");
  if (fault === "half") {
    stored.offset += Math.floor(size / 2);
    throw new TypeError("network");
  }
  if (fault instanceof Response) return fault;
  if (method === "POST") {
    if (stored) return answer(409, {}, { code: "upload_id_in_use", upload: { status: "receiving" } });
    stored = { offset: 0, metadata: headers["Upload-Metadata"], length: Number(headers["Upload-Length"]) };
    if (fault === "unheard") throw new TypeError("network");
    return answer(201, { "Upload-Offset": "0" });
  }
  if (!stored) return answer(404);
  if (method === "HEAD") return answer(200, { "Upload-Offset": String(stored.offset) });
  if (Number(headers["Upload-Offset"]) !== stored.offset)
    return answer(409, {}, { code: "mismatching_offset" });
  stored.offset += size;
  return answer(204, { "Upload-Offset": String(stored.offset) });
}

beforeEach((t) => {
  stored = null;
  faults = [];
  asked = [];
  t.mock?.reset?.();
  globalThis.fetch = service;
});

function start(options = {}) {
  const turn = new Turn();
  const abort = new AbortController();
  const waits = [];
  turn.wait = async (ms, signal) => {
    waits.push(ms);
    if (!Number.isFinite(ms)) return Turn.prototype.wait.call(turn, ms, signal);
  };
  const bytes = [];
  const away = [];
  const done = sendInParts(new Service({ url: "http://service.example/api" }), {
    id: "u1",
    file,
    filename: "größe.txt",
    fields: { album: "Sea" },
    signal: abort.signal,
    turn,
    onBytes: (loaded, total) => bytes.push([loaded, total]),
    onWaiting: (on) => away.push(on),
    ...options,
  });
  return { done, turn, abort, bytes, away, waits };
}

test("a file goes in parts of 8 MiB, with its name, type and fields", async () => {
  const { done, bytes } = start();
  assert.deepEqual(await done, { status: 202, body: null, retryAfterS: null });
  assert.deepEqual(asked, [
    "POST /api/upload",
    "PATCH /api/upload/u1 0",
    `PATCH /api/upload/u1 ${8 * MIB}`,
    `PATCH /api/upload/u1 ${16 * MIB}`,
  ]);
  assert.deepEqual(bytes.at(-1), [20 * MIB, 20 * MIB]);
  const metadata = Object.fromEntries(stored.metadata.split(",").map((pair) => pair.split(" ")));
  assert.equal(Buffer.from(metadata.filename, "base64").toString(), "größe.txt");
  assert.equal(Buffer.from(metadata.album, "base64").toString(), "Sea");
  assert.equal(stored.length, 20 * MIB);
});

test("after a cut it asks where it is, and goes on there", async () => {
  faults = [undefined, "half", "cut"];
  const { done, away } = start();
  assert.equal((await done).status, 202);
  assert.equal(stored.offset, 20 * MIB);
  assert.deepEqual(asked.slice(2, 5), [
    "HEAD /api/upload/u1",
    "HEAD /api/upload/u1",
    `PATCH /api/upload/u1 ${4 * MIB}`,
  ]);
  assert.deepEqual(away.slice(-1), [false]);
  assert.ok(away.includes(true));
});

test("a creation whose answer was lost is not made twice", async () => {
  faults = ["unheard"];
  const { done } = start();
  assert.equal((await done).status, 202);
  assert.deepEqual(asked.slice(0, 3), ["POST /api/upload", "POST /api/upload", "HEAD /api/upload/u1"]);
});

test("one that was begun before goes on, and one that is unknown is begun anew", async () => {
  stored = { offset: 16 * MIB };
  await start({ known: true }).done;
  assert.deepEqual(asked, ["HEAD /api/upload/u1", `PATCH /api/upload/u1 ${16 * MIB}`]);
  stored = null;
  asked = [];
  assert.equal((await start({ known: true }).done).status, 202);
  assert.deepEqual(asked.slice(0, 2), ["HEAD /api/upload/u1", "POST /api/upload"]);
});

test("a refusal ends it, an outage does not", async () => {
  faults = [undefined, answer(503, { "Retry-After": "7" }), answer(502)];
  const outage = start();
  assert.equal((await outage.done).status, 202);
  assert.equal(outage.waits[0], 7000);
  stored = null;
  faults = [answer(413, {}, { code: "too_large" })];
  assert.equal((await start().done).body.code, "too_large");
  stored = null;
  faults = [undefined, answer(409, {}, { code: "replaced" })];
  assert.equal(await start().done, null, "somebody else sends it now");
});

test("a pause ends the request that is under way, and resuming goes on from what arrived", async () => {
  faults = [undefined, "hang"];
  const { done, turn } = start();
  while (asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
  turn.pause();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(asked.length, 2);
  turn.resume();
  assert.equal((await done).status, 202);
  assert.equal(asked[2], "HEAD /api/upload/u1");
});

test("an abort ends it without an answer", async () => {
  faults = [undefined, "hang"];
  const { done, abort } = start();
  while (asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
  abort.abort();
  assert.equal(await done, null);
});

test("the pauses between attempts double to half a minute, and lists of fields go in one request", () => {
  assert.deepEqual([retryMs(1, 0), retryMs(1, 0.9999999), retryMs(99, 0)], [250, 500, 15_000]);
  assert.equal(fitForParts({ a: "1", b: 2 }), true);
  assert.equal(fitForParts({ a: ["1", "2"] }), false);
});
