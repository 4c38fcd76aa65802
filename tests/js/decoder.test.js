/** The stream decoder against the WHATWG parsing rules. Each test's name is the fact it proves. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Decoder } from "../../sse_progress/browser/client/follow/decoder.js";

const STREAM =
  '\uFEFFretry: 2000\n\n: comment\n\nid: a-1\ndata: {"x":1}\n\nevent: heartbeat\ndata\n\n' +
  "id: a-2\r\ndata: one\r\ndata:two\r\n\r\nid: a-3\rdata:  two spaces\r\rdata: never finished";

const EVENTS = [
  { event: "message", data: '{"x":1}', id: "a-1" },
  { event: "heartbeat", data: "", id: "a-1" },
  { event: "message", data: "one\ntwo", id: "a-2" },
  { event: "message", data: " two spaces", id: "a-3" },
];

function decode(chunks) {
  const decoder = new Decoder();
  return { decoder, events: chunks.flatMap((chunk) => decoder.feed(chunk)) };
}

test("LF, CR and CRLF end lines, a BOM is dropped, an unfinished frame is not an event", () => {
  const { decoder, events } = decode([STREAM]);
  assert.deepEqual(events, EVENTS);
  assert.equal(decoder.retryMs, 2000);
  assert.equal(decoder.lastEventId, "a-3");
});

test("chunks may be cut anywhere, also between CR and LF", () => {
  for (let at = 0; at <= STREAM.length; at += 1) {
    assert.deepEqual(decode([STREAM.slice(0, at), "", STREAM.slice(at)]).events, EVENTS, `cut at ${at}`);
  }
  assert.deepEqual(decode([...STREAM]).events, EVENTS);
});

test("an id with NUL and a retry that is not digits are ignored", () => {
  const { decoder, events } = decode(["id: a\0b\nretry: 1x\ndata: x\n\n"]);
  assert.deepEqual(events, [{ event: "message", data: "x", id: "" }]);
  assert.equal(decoder.retryMs, null);
});

test("an id takes effect with a frame that has no data, as the standard says", () => {
  const { decoder, events } = decode(["id: a-7\n\n"]);
  assert.deepEqual(events, []);
  assert.equal(decoder.lastEventId, "a-7");
});

test("a line without end is refused at its limit, not buffered for ever", () => {
  const decoder = new Decoder();
  assert.throws(() => {
    for (let i = 0; i < 40; i += 1) decoder.feed("x".repeat(64 * 1024));
  }, /line is \d+ characters, limit 1048576/);
});
