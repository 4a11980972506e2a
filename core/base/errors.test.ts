import assert from "node:assert/strict";
import { test } from "node:test";
import { DaimonError, toFailure } from "./errors.ts";

test("of a message as long as a page its beginning is kept, and how long it was", () => {
  const page = "<html>".repeat(10_000);
  for (const thrown of [new Error(page), new DaimonError("page.wrong", page), page]) {
    const { message } = toFailure(thrown);
    assert.equal(message.length < 10_100, true);
    assert.match(message, /^(Error: )?<html>.*… \(6000[0-9] signs\)$/);
  }
  assert.equal(toFailure(new Error("busy")).message, "Error: busy");
});
