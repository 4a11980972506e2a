import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { absolute, bytes, count, curl, dayAndTime, duration, money, plural, relative, shortId } from "./format.ts";

test("dollars keep the digits that matter", () => {
  assert.deepEqual([0, 0.00001, 0.0004, 0.0123, 0.43, 12.5].map(money), [
    "$0.00",
    "<$0.0001",
    "$0.0004",
    "$0.0123",
    "$0.43",
    "$12.50",
  ]);
});

test("counts and sizes are short", () => {
  assert.deepEqual([0, 912, 9999, 12_400, 3_100_000].map(count), ["0", "912", "9,999", "12.4k", "3.1M"]);
  assert.deepEqual([0, 999, 4100, 2_000_000].map(bytes), ["0 B", "999 B", "4.1 kB", "2 MB"]);
  assert.deepEqual([plural(1, "run"), plural(2, "run")], ["1 run", "2 runs"]);
});

test("durations read in one or two units", () => {
  assert.deepEqual([0, 840, 3200, 245_000, 7_800_000, 273_600_000].map(duration), [
    "0 ms",
    "840 ms",
    "3.2 s",
    "4 min 5 s",
    "2 h 10 min",
    "3 d 4 h",
  ]);
});

test("times are relative to now, and days in the owner's zone", () => {
  const now = new Date("2026-11-22T12:00:00Z");
  const at = (text: string) => relative(new Date(text), now, "Europe/Berlin");
  assert.equal(at("2026-11-22T11:59:58Z"), "now");
  assert.equal(at("2026-11-22T11:59:20Z"), "40 s ago");
  assert.equal(at("2026-11-22T14:30:00Z"), "in 2 h");
  assert.equal(at("2026-11-20T12:00:00Z"), "2 d ago");
  assert.equal(at("2026-11-01T23:30:00Z"), "2 Nov");
  assert.equal(at("2025-11-01T12:00:00Z"), "1 Nov 2025");
  assert.match(absolute(now, "Europe/Berlin"), /^Sun, 22 Nov 2026,? (at )?13:00:00 (CET|GMT\+1)$/);
  assert.equal(dayAndTime(now, "America/New_York", now), "Sun 22 Nov, 07:00");
  assert.equal(dayAndTime(new Date("2028-02-29T00:00:00Z"), "UTC", now), "Tue 29 Feb 2028, 00:00");
});

test("ids are told apart by their end", () => {
  assert.equal(shortId("evt_01m824n8ghvqg8z86818pdh5x5"), "evt_…pdh5x5");
  assert.equal(shortId("short"), "short");
});

test("a copied curl command sends the same bytes, whatever is in them", () => {
  const body = `{"text":"it's $HOME \`id\` \\"quoted\\" and \\u00e9"}`;
  const command = curl(
    {
      method: "POST",
      url: "/hooks/github?a=1",
      headers: { host: "x", "content-length": "9", "x-hub-signature-256": "sha256=ab", "x-odd": "it's" },
      body,
      bodyBase64: Buffer.from(body).toString("base64"),
    },
    "http://localhost:4242",
  );
  const words = execFileSync("sh", ["-c", command.replace("curl", "printf '%s\\n'")], {
    encoding: "utf8",
  }).split("\n");
  assert.deepEqual(words.slice(0, -1), [
    "-X",
    "POST",
    "http://localhost:4242/hooks/github?a=1",
    "-H",
    "x-hub-signature-256: sha256=ab",
    "-H",
    "x-odd: it's",
    "--data-binary",
    body,
  ]);
});

test("a body that is not UTF-8 goes through base64", () => {
  const request = { method: "POST", url: "/hooks/a", headers: {}, body: null, bodyBase64: "/w==" };
  assert.match(
    curl(request, "http://a"),
    /^printf %s \/w== \| base64 -d \| curl -X POST 'http:\/\/a\/hooks\/a' \\\n {2}--data-binary @-$/,
  );
});
