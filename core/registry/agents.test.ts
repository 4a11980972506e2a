import assert from "node:assert/strict";
import test from "node:test";
import { parseAgent } from "./agents.ts";

const whole = `---
name: research
description: Finds things out.
model: heavy
tools: [hub_search, web_read]
limits:
  turns: 5
  usd: 0.2
---

Read first.

Then write.
`;

test("front matter says what an agent may do, the body what it is told", () => {
  assert.deepEqual(parseAgent(whole, "agents/research.md"), {
    name: "research",
    description: "Finds things out.",
    model: "heavy",
    tools: ["hub_search", "web_read"],
    limits: { turns: 5, usd: 0.2 },
    instructions: "Read first.\n\nThen write.",
  });
});

test("its name is the file's, the model is light and there are no tools, unless the file says otherwise", () => {
  const agent = parseAgent("---\r\ndescription: Short.\r\n---\r\nBe brief.", "a/b/short-one.md");
  assert.deepEqual(
    [agent.name, agent.model, agent.tools, agent.limits, agent.instructions],
    ["short-one", "light", [], {}, "Be brief."],
  );
  assert.deepEqual(parseAgent('---\ndescription: All.\ntools: "*"\n---\nGo.', "all.md").tools, ["*"]);
});

const refusals: [string, string, RegExp][] = [
  ["no front matter", "Be brief.", /x\.md:1: it does not begin with a front matter/],
  ["a front matter without an end", "---\ndescription: a\nBe brief.", /x\.md:1: it does not begin/],
  ["broken YAML", "---\ndescription: a\nname: [b\n---\nx", /x\.md:[34]: /],
  ["a missing description", "---\nname: x\n---\nx", /x\.md:1: "description" is missing\./],
  ["a misspelt field", "---\ndescription: a\n\ntool: b\n---\nx", /x\.md:4: "tool" is not known\./],
  ["a wrong kind of value", "---\ndescription: a\ntools: hub_read\n---\nx", /x\.md:3: "tools" must be a list/],
  [
    "a limit that is not one",
    "---\ndescription: a\nlimits:\n  turns: 0\n---\nx",
    /x\.md:3: "limits.turns" must be more than 0/,
  ],
  ["an unknown limit", "---\ndescription: a\nlimits: { euro: 1 }\n---\nx", /x\.md:3: "limits.euro" is not known/],
  ["another name", "---\ndescription: a\nname: y\n---\nx", /x\.md:3: "name" must be that of the file, x, or left out/],
  ["no instructions", "---\ndescription: a\n---\n\n", /x\.md:3: there are no instructions/],
  ["a list for a front matter", "---\n- a\n---\nx", /x\.md:1: /],
];
for (const [what, markdown, message] of refusals) {
  test(`${what} is refused with file, line and reason`, () => {
    assert.throws(() => parseAgent(markdown, "x.md"), { code: "capability.agent", message });
  });
}

test("a file's name with spaces is refused, since it is the agent's", () => {
  const message = "My Agent.md:1: a file's name must be small letters, digits and single dashes.";
  assert.throws(() => parseAgent(whole, "My Agent.md"), { code: "capability.agent", message });
});
