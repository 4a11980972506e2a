import { join } from "node:path";
import { type Environment, readEnvironment } from "../base/environment.ts";
import type { Plan } from "../registry/add.ts";
import { readConfig } from "./config.ts";
import { CliError, EXIT, usage } from "./exit.ts";
import type { ReadOptions } from "./read.ts";
import {
  clean,
  dim,
  facts,
  line,
  paint,
  print,
  printJson,
  promptLine,
  say,
  status,
  table,
} from "./terminal.ts";

/** Installs a capability after showing what it will do. */
export async function add(from: string, options: { yes?: boolean }) {
  const { planCapability, installCapability } = await import("../registry/add.ts");
  const environment = readEnvironment();
  const { publicUrl, owner } = await readConfig();
  const where = { ...(publicUrl ? { base: publicUrl } : {}), ...(owner.zone ? { zone: owner.zone } : {}) };
  const plan = await planCapability(from, environment, where);
  try {
    showPlan(plan);
    await confirm(`Install ${plan.name}?`, options);
    const { secrets } = await installCapability(plan, environment);
    print(`${plan.name} is installed.`);
    showAddresses(plan, secrets);
    say("Next: restart Daimon (Ctrl-C, npm start) to load it; what runs is taken up again.");
  } finally {
    await plan.discard();
  }
}

function showPlan(plan: Plan): void {
  const each = <Item>(items: readonly Item[], show: (item: Item) => string) =>
    items.map(show).map(line).join("\n".padEnd(12));
  facts([
    ["Capability", `${paint("bold", line(plan.name))} ${line(plan.description)}`],
    ["From", line(`${plan.from} (${plan.files.length} files)`)],
    ["To", line(plan.folder)],
    ["Addresses", each(plan.addresses, ({ url }) => url)],
    ["Triggers", each(plan.triggers, ({ name, on }) => `${name}: on ${on.source} ${on.type ?? ""}`)],
    [
      "Schedules",
      each(
        plan.schedules,
        ({ name, cron, next }) => `${name}: ${cron}, next ${next?.toISOString() ?? "never"}`,
      ),
    ],
    [
      "Tools",
      each(
        plan.tools,
        ({ name, effect, approval }) => `${name}: ${effect}${approval ? ", asks you first" : ""}`,
      ),
    ],
    ["Agents", each(plan.agents, (name) => name)],
    ["Hosts", each(plan.egress, (host) => host)],
    ["Secrets", each(plan.secrets, ({ name, state, description }) => `${name}: ${state}. ${description}`)],
  ]);
}

/** The webhook addresses with the secrets made for them, which are shown this once. */
function showAddresses(plan: Plan, made: readonly string[]): void {
  const { values } = readEnvironment();
  for (const { source, secret, setup } of plan.webhooks) {
    print(`Webhook  ${plan.addresses.find((address) => address.source === source)?.url}`);
    if (made.includes(secret))
      print(`Secret   ${values[secret]}  ${dim("(shown once; it stands in home/.env)")}`);
    if (setup) say(clean(setup));
  }
}

async function confirm(question: string, { yes }: { yes?: boolean }): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY) throw usage("There is no terminal to ask on.", "Say --yes.");
  if (/^y(es)?$/i.test((await promptLine(`${question} [y/N] `)) ?? "")) return;
  throw new CliError(EXIT.failed, "cli.declined", "Nothing was changed.");
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
    return printJson({
      items: [...items, ...refused.map(({ name, problem }) => ({ name, problem }))],
      next: null,
    });
  }
  if (installed.length + refused.length === 0) return say("Nothing is installed. daimon add <name>");
  table(
    ["", "NAME", ""],
    [
      ...installed.map(({ capability }) => [
        status("ok", "✓"),
        line(capability.name),
        line(capability.description),
      ]),
      ...refused.map(({ name, problem }) => [status("failed", "✗"), line(name), line(problem.message)]),
    ],
  );
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
  const items = openSkills({ root: join(environment.home, "hub"), folders, log: openLog({}) }).list();
  if (options.json) return printJson({ items, next: null });
  if (items.length === 0) return say("No skills. Put a folder with a SKILL.md into the hub's skills/.");
  table(
    ["NAME", ""],
    items.map((skill) => [line(skill.name), line(skill.description)]),
  );
}

async function load(environment: Environment) {
  const { loadCapabilities } = await import("../registry/load.ts");
  return loadCapabilities(environment.capabilities, environment);
}
