import { join } from "node:path";
import { type Environment, readEnvironment } from "../base/environment.ts";
import { ownerZone } from "../console/options.ts";
import type { Plan } from "../registry/add.ts";
import { readConfig } from "../registry/config.ts";
import type { ReadOptions } from "./read.ts";
import { clean, confirm, facts, line, paint, print, printJson, say, status, table, time } from "./terminal.ts";

// What a capability prints when these commands import it is no data of ours: it goes to stderr.
console.log = console.error;

/** Installs a capability after showing what it will do. */
export async function add(from: string, options: { yes?: boolean }) {
  const { planCapability, installCapability } = await import("../registry/add.ts");
  const environment = readEnvironment();
  const config = await readConfig();
  const zone = ownerZone(config);
  const plan = await planCapability(from, environment, { base: config.publicUrl, zone });
  try {
    showPlan(plan, zone);
    await confirm(`Install ${plan.name}?`, options);
    const { secrets } = await installCapability(plan, environment);
    print(`${plan.name} is installed.`);
    showAddresses(plan, secrets);
    say("Next: restart Daimon (Ctrl-C, npm start) to load it; what runs is taken up again.");
  } finally {
    await plan.discard();
  }
}

function showPlan(plan: Plan, zone: string): void {
  const { name, description, files, triggers, schedules, tools, secrets } = plan;
  const under = "\n".padEnd(13);
  const lines = (words: readonly string[]) => words.map(line).join(under);
  const next = (at: Date | null) => time(at?.toISOString(), zone);
  facts([
    ["Capability", `${paint("bold", line(name))} ${line(description)}`],
    ["From", line(`${plan.from} (${files.length} ${files.length === 1 ? "file" : "files"})`)],
    ["To", line(plan.folder)],
    ["Addresses", lines(plan.addresses.map(({ url }) => url))],
    ["Triggers", lines(triggers.map(({ name, on }) => `${name}: on ${on.source} ${on.type ?? ""}`))],
    ["Schedules", lines(schedules.map((each) => `${each.name}: ${each.cron}, next ${next(each.next)}`))],
    ["Tools", lines(tools.map((each) => `${each.name}: ${each.effect}${each.approval ? ", asks you first" : ""}`))],
    ["Agents", lines(plan.agents)],
    ["Skills", lines(plan.skills)],
    ["Hosts", lines(plan.egress)],
    ["Secrets", lines(secrets.map((each) => `${each.name}: ${each.state}. ${each.description}`))],
  ]);
}

/** The webhook addresses with the secrets made for them, which are shown this once. */
function showAddresses(plan: Plan, made: readonly string[]): void {
  const { values, envFile } = readEnvironment();
  for (const { source, secret, setup } of plan.webhooks) {
    print(`Webhook  ${plan.addresses.find((address) => address.source === source)?.url}`);
    if (made.includes(secret)) print(`Secret   ${values[secret]}  (shown once; it stands in ${envFile})`);
    if (!values[secret]) say(`Write the line ${secret}=… into ${envFile}: until then its requests are answered 503.`);
    if (setup) say(clean(setup).replaceAll("home/.env", envFile));
  }
}

/** Removes a capability; what it did (events, runs, notes) stays. */
export async function remove(name: string, options: { yes?: boolean }) {
  const { removeCapability } = await import("../registry/add.ts");
  const environment = readEnvironment();
  await confirm(`Remove ${name}, with its folder in ${environment.capabilities}?`, options);
  const { folder, secrets } = await removeCapability(name, environment);
  print(`Removed ${[folder, ...secrets].join(", ")}.`);
  say("Next: restart Daimon (Ctrl-C, npm start); events, runs and notes stay.");
}

/** What is installed, and what is refused and why; read from the folder, so that no server is needed. */
export async function list(options: ReadOptions) {
  const { installed, refused } = await load(readEnvironment());
  if (options.json) {
    const { describe } = await import("../registry/describe.ts");
    const items = installed.map((one) => ({ ...describe(one), problem: null }));
    return printJson({ items: [...items, ...refused], next: null });
  }
  const rows = [
    ...installed.map(({ capability }) => [status("ok", "✓"), capability.name, line(capability.description)]),
    ...refused.map(({ name, problem }) => [status("failed", "✗"), line(name), line(problem.message)]),
  ];
  if (rows.length === 0) return say("Nothing is installed. daimon add <name>");
  table(["", "NAME", ""], rows);
}

/** The skills of the hub and of the capabilities; an agent reads one when it needs it. */
export async function listSkills(options: ReadOptions) {
  const environment = readEnvironment();
  const [{ installed }, { openSkills }, { openLog }] = await Promise.all([
    load(environment),
    import("../hub/skills.ts"),
    import("../base/log.ts"),
  ]);
  const folders = installed.flatMap(({ skillFolder }) => skillFolder ?? []);
  const items = openSkills({ root: join(environment.home, "hub"), folders, log: openLog({ echo: true }) }).list();
  if (options.json) return printJson({ items, next: null });
  if (items.length === 0) return say("No skills. Put a folder with a SKILL.md into the hub's skills/.");
  const rows = items.map((skill) => [line(skill.name), line(skill.description)]);
  table(["NAME", ""], rows);
}

async function load(environment: Environment) {
  const { loadCapabilities } = await import("../registry/load.ts");
  return loadCapabilities(environment.capabilities, environment);
}
