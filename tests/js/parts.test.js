/** The smaller parts: ids, observers, speed, texts, and what the package offers. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as module from "../../sse_progress/browser/client/index.js";
import { Meter } from "../../sse_progress/browser/client/panel/meter.js";
import { Observers } from "../../sse_progress/browser/client/service/observers.js";
import { loadTexts } from "../../sse_progress/browser/client/text/locale.js";
import { placeText, startText } from "../../sse_progress/browser/client/text/place.js";
import {
  TEXTS,
  errorText,
  fill,
  formatBytes,
  formatPercent,
  formatSeconds,
  mergeTexts,
} from "../../sse_progress/browser/client/text/texts.js";
import { FAILURE_CODES, UPLOAD_ID_PATTERN } from "../../sse_progress/browser/client/service/wire.js";

const PAGE = new URL("../../sse_progress/browser/", import.meta.url);

test("a new id is valid on the wire, unique, and sorts by time", () => {
  const ids = [1_700_000_000_000, 1_700_000_000_001, 1_900_000_000_000].map((ms) => module.newUploadId(ms));
  assert.deepEqual([...ids].sort(), ids);
  for (const id of ids) {
    assert.match(id, /^upload_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
  assert.notEqual(module.newUploadId(1), module.newUploadId(1));
  const together = Array.from({ length: 50 }, () => module.newUploadId());
  assert.deepEqual([...together].sort(), together);
});

test("a listener that throws is reported and stops nobody", () => {
  const reported = [];
  globalThis.reportError = (error) => reported.push(error.message);
  const heard = [];
  const observers = new Observers();
  observers.add(() => {
    throw new Error("mine");
  });
  observers.add((value) => heard.push(value));
  observers.notify("news");
  assert.deepEqual(heard, ["news"]);
  assert.deepEqual(reported, ["mine"]);
});

test("a listener goes by its own function or by a signal, and only that one", () => {
  const heard = [];
  const observers = new Observers();
  const same = (value) => heard.push(value);
  const stop = new AbortController();
  const off = observers.add(same);
  observers.add(same, { signal: stop.signal });
  observers.notify(1);
  off();
  observers.notify(2);
  stop.abort();
  observers.notify(3);
  observers.add(same, { signal: stop.signal });
  observers.notify(4);
  assert.deepEqual(heard, [1, 1, 2]);
});

test("speed is that of the last seconds, and a line that stands still slows down", () => {
  const meter = new Meter();
  assert.equal(meter.speed(0), null);
  for (let s = 0; s <= 20; s += 1) meter.note(s * 1000, s * 1000);
  for (let s = 21; s <= 30; s += 1) meter.note(20_000 + (s - 20) * 5000, s * 1000);
  assert.equal(meter.speed(30_000), 5000);
  assert.ok(meter.speed(60_000) < 1000);
  meter.note(5, 60_000);
  meter.note(1005, 61_000);
  assert.equal(meter.speed(61_000), 1000, "another counter's count begins anew");
});

test("bytes and seconds are written for people, in their language", () => {
  assert.equal(formatBytes(0), "0 bytes");
  assert.equal(formatBytes(999), "999 bytes");
  assert.equal(formatBytes(1500), "1.5 kB");
  assert.equal(formatBytes(1_073_741_824), "1.1 GB");
  assert.equal(formatBytes(123_456_789, "de"), "123 MB");
  assert.equal(formatPercent(39.9), "39%");
  assert.equal(formatPercent(39.9, "de"), "39\u00a0%");
  assert.equal(formatSeconds(0.2), "1 sec");
  assert.equal(formatSeconds(119), "2 min");
  assert.equal(formatSeconds(5400, "de"), "1,5 Std.");
});

test("texts fill their holes, choose the plural form, and merge table by table", () => {
  assert.equal(fill(TEXTS.active, { n: 1 }), "Uploading 1 file");
  assert.equal(fill(TEXTS.active, { n: 8 }), "Uploading 8 files");
  assert.equal(fill("{name} and {unknown}", { name: "$& {n}" }), "$& {n} and {unknown}");
  const own = mergeTexts({ lang: "de", stage: { analyzing: "Wird untersucht" } });
  assert.equal(own.stage.analyzing, "Wird untersucht");
  assert.equal(own.stage.validating, TEXTS.stage.validating);
});

test("an error is told by its code, else by what the service said, and never not at all", () => {
  const network = { code: "network", detail: "" };
  assert.equal(errorText(TEXTS, network), TEXTS.error.network);
  const refusal = { code: "too_large", detail: "The file is 11 bytes, limit 10." };
  assert.equal(errorText(TEXTS, refusal), refusal.detail);
  assert.equal(errorText(mergeTexts({ error: { too_large: "Zu groß." } }), refusal), "Zu groß.");
  assert.equal(errorText(TEXTS, { code: "novel", detail: "" }), "Failed");
});

test("a place in the queue is written for people, and so is that nothing is known of it", async () => {
  const told = async (locale, queuePosition, startsInSeconds) => {
    const texts = await loadTexts(locale);
    const place = { queuePosition, startsInSeconds };
    return [placeText(texts, place), startText(texts, place)];
  };
  const ordinals = [1, 2, 3, 4, 11, 12, 22, 101, 103, 111];
  const english = await Promise.all(ordinals.map(async (n) => (await told("en", n, null))[0]));
  assert.deepEqual(
    english.map((text) => text.replace(/^Waiting, | in line$/g, "")),
    ["next", "2nd", "3rd", "4th", "11th", "12th", "22nd", "101st", "103rd", "111th"],
  );
  assert.deepEqual(await told("en", null, null), ["", ""]);
  assert.deepEqual(await told("en", 3, 130), ["Waiting, 3rd in line", "starts in about 2 min"]);
  assert.deepEqual(await told("de", 3, 0), ["Wartet, an 3. Stelle", "beginnt in weniger als einer Minute"]);
  assert.deepEqual(await told("es", 2, null), ["En espera, 2.º en la cola", "aún sin estimación"]);
  const [place, start] = await told("fr", 1, 7200);
  assert.equal(place, "En attente, le prochain");
  assert.match(start, /^commence dans environ 2\sh$/);
});

test("every stage and phase has a word", () => {
  for (const { name, terminal } of module.STAGES) if (!terminal) assert.ok(TEXTS.stage[name], name);
  for (const phase of ["waiting", "sending", "checking", "done", "refused", "failed", "cancelled"]) {
    assert.ok(TEXTS.phase[phase], phase);
  }
});

test("a new id is one that the service takes", () => {
  const whole = new RegExp(`^(?:${UPLOAD_ID_PATTERN})$`);
  for (let at = 0; at < 50; at += 1) assert.match(module.newUploadId(), whole);
});

test("a code of the service that says nothing about the file is a failure, any other a refusal", () => {
  for (const code of FAILURE_CODES) assert.equal(module.phaseOfError(code), "failed", code);
  for (const code of ["too_large", "stage_timeout", "of_some_stage"]) {
    assert.equal(module.phaseOfError(code), "refused", code);
  }
});

test("what the module exports is what its types declare", () => {
  const types = readFileSync(new URL("client/index.d.ts", PAGE), "utf8");
  const declared = [...types.matchAll(/^export declare (?:class|const|function) (\w+)/gm)].map(
    ([, name]) => name,
  );
  assert.deepEqual(declared.sort(), Object.keys(module).sort());
});

test("the package names files that exist and depends on nothing", () => {
  const manifest = JSON.parse(readFileSync(new URL("package.json", PAGE), "utf8"));
  for (const { types, default: file } of [manifest.exports["."], manifest.exports["./panel"]]) {
    assert.ok(readFileSync(new URL(types, PAGE)).length && readFileSync(new URL(file, PAGE)).length);
  }
  assert.equal(manifest.dependencies, undefined);
  assert.equal(manifest.scripts, undefined);
});
