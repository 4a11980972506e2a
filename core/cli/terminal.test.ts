import assert from "node:assert/strict";
import { registerHooks } from "node:module";
import { test } from "node:test";
import { clean, cut, line, time, usd, width } from "./terminal.ts";

test("what could steer a terminal is taken out", () => {
  assert.equal(clean("a\u001b[31mb\u0007\r\n\tc\u009b\u202ed"), "a[31mb\n\tcd");
  assert.equal(line(" a\n\n b\u0000 "), "a b");
});

test("text is cut to the columns it takes", () => {
  assert.deepEqual([width("日本"), width("e\u0301"), width("\u001b[31mab\u001b[39m"), width("👍a")], [4, 1, 2, 3]);
  assert.equal(cut("abcdef", 6), "abcdef");
  assert.equal(cut("abcdef", 4), "abc…");
  assert.equal(cut("日本語", 4), "日…");
  assert.equal(cut("\u001b[31mabcdef\u001b[39m", 3), "ab…");
});

test("a time is told in the owner's zone, with how far it is", () => {
  const now = new Date("2026-11-22T23:30:00Z");
  const told = (iso: string) => time(iso, "Europe/Amsterdam", now);
  assert.equal(told("2026-11-22T23:29:56Z"), "00:29:56 · 4s ago");
  assert.equal(told("2026-11-22T22:30:00Z"), "2026-11-22 23:30 · 1h ago");
  assert.equal(told("2026-11-25T00:30:00Z"), "2026-11-25 01:30 · in 2d 1h");
  assert.deepEqual([time(null, "UTC"), told(now.toISOString())], ["–", "00:30:00 · now"]);
});

test("an amount is as exact as it is small", () => {
  assert.deepEqual([0, 0.00001, 0.0042, 1.239].map(usd), ["", "<$0.0001", "$0.0042", "$1.24"]);
});

test("the command line loads nothing of the house before it is needed", async () => {
  const loaded: string[] = [];
  const hooks = registerHooks({
    load: (url, context, next) => {
      loaded.push(url);
      return next(url, context);
    },
  });
  await import("./cli.ts");
  hooks.deregister();
  const packages = loaded.map((url) => /node_modules\/([^/]+)/.exec(url)?.[1]).filter(Boolean);
  const rooms = loaded.map((url) => /core\/(\w+)\//.exec(url)?.[1]).filter(Boolean);
  assert.deepEqual([...new Set(packages)], ["commander"]);
  assert.deepEqual([...new Set(rooms)].sort(), ["base", "cli"]);
});
