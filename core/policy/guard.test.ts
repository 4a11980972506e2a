import assert from "node:assert/strict";
import test from "node:test";
import { BLANK, type Label, OWNER, STRANGER } from "../define/label.ts";
import { type GuardedCall, guard, isIdentity } from "./guard.ts";
import { join } from "./labels.ts";

const TAINTED = join(OWNER, STRANGER);
const SECRET: Label = { integrity: "trusted", privacy: "secret" };
const send: GuardedCall = { tool: "mail", effect: "send", sink: "ann@shop.example", label: OWNER };
const decide = (call: Partial<GuardedCall>) => guard({ ...send, ...call }).decision;

test("a join is as untrusted as the least trusted and as private as the most private", () => {
  assert.deepEqual(join(), BLANK);
  assert.deepEqual(TAINTED, { integrity: "untrusted", privacy: "private" });
  assert.deepEqual(join(SECRET, STRANGER, OWNER), { integrity: "untrusted", privacy: "secret" });
});

test("what the owner asks for, with nothing read from outside, is allowed", () => {
  for (const effect of ["none", "read", "write", "send", "spend", "destroy"] as const) {
    assert.equal(decide({ effect }), "allow");
  }
});

test("private data does not leave an untrusted run unasked, whatever the effect is called", () => {
  for (const effect of ["none", "read", "write", "send"] as const) {
    assert.equal(decide({ effect, label: TAINTED }), "ask");
    assert.equal(decide({ effect, label: TAINTED, outside: "deny" }), "deny");
  }
});

test("an untrusted run that holds nothing private may read outside, and not send", () => {
  assert.equal(decide({ effect: "read", label: STRANGER }), "allow");
  assert.equal(decide({ effect: "send", label: STRANGER }), "ask");
  assert.equal(decide({ effect: "send", sink: "", label: TAINTED }), "ask");
});

test("what the owner named is allowed, letter by letter", () => {
  const named = (sink: string, ownerText: string, more: Partial<GuardedCall> = {}) =>
    decide({ sink, ownerText, label: TAINTED, ...more });
  assert.equal(named("ann@shop.example", "Forward it to Ann@Shop.example."), "allow");
  assert.equal(named("ann@shop.example", "Forward it to <mailto:ann@shop.example>, please"), "allow");
  assert.equal(named("ann@shop.example", "Forward it to joann@shop.example"), "ask");
  assert.equal(named("ann@shop.example", "Forward it to ann"), "ask");
  assert.equal(named("ann@shop.example, eve@evil.example", "Forward it to ann@shop.example"), "ask");
  assert.equal(named("general", "a general question"), "ask");
  assert.equal(named("#general", "post it in #general"), "allow");
  assert.equal(named("+31612345678", "text +31612345678: late"), "allow");
  assert.equal(named("ann@shop.example", "to ann@shop.example", { outside: "deny" }), "allow");
});

test("a host that the owner named is no licence to put data into its URLs", () => {
  const read = (sink: string) =>
    decide({
      effect: "read",
      sink,
      ownerText: "Compare https://a.example/p?q=1 and b.example",
      label: TAINTED,
    });
  assert.equal(read("https://a.example/p?q=1"), "allow");
  assert.equal(read("https://b.example/"), "allow");
  assert.equal(read("b.example"), "allow");
  assert.equal(read("https://a.example/p?q=secret"), "ask");
  assert.equal(read("https://b.example/?q=secret"), "ask");
  assert.equal(read("https://c.example@b.example/"), "ask");
  assert.equal(read("http://b.example/"), "ask");
});

test("destroying and spending are asked in an untrusted run even where the owner named the place", () => {
  const ownerText = "to ann@shop.example";
  assert.equal(decide({ effect: "destroy", ownerText, label: TAINTED }), "ask");
  assert.equal(decide({ effect: "spend", ownerText, label: TAINTED }), "ask");
});

test("a tool that wants an approval gets one, even for the owner", () => {
  assert.equal(decide({ approval: true }), "ask");
  assert.equal(decide({ approval: true, ownerText: "to ann@shop.example" }), "ask");
});

test("secrets leave by no tool at all", () => {
  assert.equal(decide({ label: SECRET, ownerText: "to ann@shop.example" }), "deny");
  assert.equal(decide({ label: SECRET, sink: "hub", effect: "write" }), "allow");
});

test("an untrusted run writes notes, but asks before it changes what agents are told or starts something", () => {
  const write = (sink: string, label: Label = TAINTED) => decide({ effect: "write", sink, label });
  assert.equal(write("hub"), "allow");
  assert.equal(write("hub:inbox/idea.md"), "allow");
  assert.equal(write("hub:identity/soul.md"), "ask");
  assert.equal(write("hub:areas/health/abstract.md"), "ask");
  assert.equal(write("hub:areas/health/abstract.md", OWNER), "allow");
  assert.equal(decide({ effect: "read", sink: "hub:identity/soul.md", label: TAINTED }), "allow");
  assert.equal(write("daimon"), "ask");
  assert.equal(write("daimon", OWNER), "allow");
});

test("nobody changes identity without a person, not even the owner's own agent", () => {
  assert.equal(decide({ effect: "write", sink: "hub:identity/soul.md" }), "ask");
  assert.equal(decide({ effect: "write", sink: "hub:skills/mail/SKILL.md" }), "ask");
});

test("what agents are told is found under any spelling of its path", () => {
  for (const path of [
    "identity/soul.md",
    "Identity/soul.md",
    "./areas/../identity/x.md",
    "areas\\..\\identity\\x.md",
    "//identity",
    "skills/write/SKILL.md",
    "AGENTS.md",
    "\u2170dentity/soul.md",
  ]) {
    assert.ok(isIdentity(path), path);
  }
  for (const path of [
    "inbox/a.md",
    "areas/identity.md",
    "projects/skills-list.md",
    "areas/v1.2/x.md",
    "areas/abstract.md",
  ]) {
    assert.ok(!isIdentity(path), path);
  }
});
