import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readEnvironment } from "./environment.ts";

test("home/.env is read with quotes, spaces, comments, empty values, and as Windows writes it", (t) => {
  const home = mkdtempSync(join(tmpdir(), "env-"));
  t.after(() => rmSync(home, { recursive: true }));
  const lines = [
    'PORT="5000"',
    "# said",
    "",
    'export ONE = "a = b # c"  # said',
    "EMPTY=",
    "BLANK=  ",
    "TWO='x y'",
    "PATH=not this",
  ];
  for (const text of [lines.join("\n"), `\uFEFF${lines.join("\r\n")}\r\n`]) {
    writeFileSync(join(home, ".env"), text);
    const { port, values } = readEnvironment({ DAIMON_HOME: home, PATH: "/bin" });
    assert.equal(port, 5000);
    assert.deepEqual(values, {
      ...{ DAIMON_HOME: home, PORT: "5000", ONE: "a = b # c", EMPTY: "", BLANK: "", TWO: "x y", PATH: "/bin" },
    });
  }
});
