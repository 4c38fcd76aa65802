// Appended to the snippet: `follow` of docs/integrate/mobile.md, whose requests are answered here.
import assert from "node:assert/strict";
import { mock } from "node:test";

mock.timers.enable({ apis: ["setTimeout"] });
const requests = [];

globalThis.XMLHttpRequest = class {
  static LOADING = 3;
  static DONE = 4;
  readyState = 0;
  status = 0;
  responseText = "";
  headers = {};
  open(_method, url) {
    this.url = url;
    requests.push(this);
  }
  setRequestHeader(name, value) {
    this.headers[name] = name in this.headers ? `${this.headers[name]}, ${value}` : value;
  }
  send() {}
  abort() {
    this.aborted = true;
  }
  answer(status, text, state = 4) {
    [this.status, this.responseText, this.readyState] = [status, this.responseText + text, state];
    this.onreadystatechange();
  }
  fail() {
    this.readyState = 4;
    this.onreadystatechange();
    this.onerror();
  }
};

const frame = (id, event) => `id: ${id}\ndata: ${JSON.stringify(event)}\n\n`;
const opening = 'retry: 2000\ndata: {"type":"connected"}\n\n';
const later = (ms) => mock.timers.tick(ms);

function begin(options) {
  requests.length = 0;
  const seen = { events: [], ends: [] };
  seen.stop = follow(
    "http://s",
    "u",
    () => "t",
    (event, id) => seen.events.push([event.stage, id]),
    {
      onEnd: (status) => seen.ends.push(status),
      ...options,
    },
  );
  later(0);
  return seen;
}

{
  const seen = begin(); // offline at connect: it tries again
  requests[0].fail();
  later(3000);
  assert.equal(requests.length, 2);
  assert.equal(requests[1].headers.Authorization, "Bearer t");
  requests[1].answer(200, opening + frame("a-1", { type: "progress", stage: "receiving" }), 3);
  later(44_000);
  requests[1].answer(200, "event: heartbeat\ndata: {}\n\n", 3); // it is alive
  later(44_000);
  assert.equal(requests.length, 2);
  later(2000); // silent for 45 s
  assert.equal(requests.length, 3);
  assert.match(requests[2].url, /lastEventId=a-1$/);
  assert.ok(requests[1].aborted);
  requests[2].answer(200, opening + frame("a-2", { type: "progress", stage: "complete" })); // with its end
  later(600_000);
  assert.equal(requests.length, 3);
  assert.deepEqual(seen, {
    ...seen,
    events: [
      ["receiving", "a-1"],
      ["complete", "a-2"],
    ],
    ends: [200],
  });
}
{
  const seen = begin({ lastId: "a-1" }); // a replay in one piece, then a frame in two
  const replay = frame("a-2", { type: "progress", stage: "analyzing" });
  const more = frame("a-3", { type: "reset", stage: "moderating" });
  const end = frame("a-4", { type: "progress", stage: "complete" });
  requests[0].answer(200, opening + replay + more + end.slice(0, 20), 3);
  assert.match(requests[0].url, /lastEventId=a-1$/);
  assert.deepEqual(
    seen.events.map(([, id]) => id),
    ["a-2", "a-3"],
  );
  requests[0].answer(200, end.slice(20), 3);
  assert.deepEqual(seen.events.at(-1), ["complete", "a-4"]);
  assert.deepEqual(seen.ends, [200]);
  later(600_000);
  assert.equal(requests.length, 1);
}
for (const status of [401, 403, 204]) {
  const seen = begin({ lastId: "a-9" }); // for good
  requests[0].answer(status, "");
  later(600_000);
  assert.equal(requests.length, 1, String(status));
  assert.deepEqual(seen.ends, [status]);
}
{
  const seen = begin(); // a token that runs out, after `retry:` has set the interval
  requests[0].answer(200, opening);
  later(2000);
  requests[1].answer(401, "");
  later(600_000);
  assert.equal(requests.length, 2);
  assert.deepEqual(seen.ends, [401]);
}
{
  const seen = begin(); // busy: it waits longer each time
  for (let turn = 0; turn < 6; turn++) {
    requests.at(-1).answer(503, "");
    later(30_000);
    assert.equal(requests.length, turn + 2);
  }
  seen.stop();
  later(600_000);
  assert.equal(requests.length, 7);
  assert.deepEqual(seen.ends, []);
}
console.log("all");
