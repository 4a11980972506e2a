import { execFile } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Environment, makeHome, readEnvironment } from "../base/environment.ts";
import { toFailure } from "../base/errors.ts";
import type { Check } from "../console/web/api.ts";
import { readConfig } from "../registry/config.ts";
import { call, findServer } from "./connection.ts";
import { CliError, EXIT } from "./exit.ts";
import type { ReadOptions } from "./read.ts";
import { line, print, printJson, say, status } from "./terminal.ts";

type Finding = Omit<Check, "name">;
type Look = (environment: Environment) => Promise<Finding> | Finding;

const ok = (message: string): Finding => ({ state: "ok", message });
const warning = (message: string, next: string): Finding => ({ state: "warning", message, next });
const failed = (message: string, next: string): Finding => ({ state: "failed", message, next });

/** What this process can see for itself. */
const LOOKS: Readonly<Record<string, Look>> = { node, git, home, ".env": secretsFile };
/** What the server says of itself when it runs. */
const LOOKS_WITHOUT_SERVER: Readonly<Record<string, Look>> = { database, "model keys": modelKeys };

/** Looks at all that must stand for Daimon to run; asks the server too when it runs. Throws `doctor.problems`, exit 6. */
export async function doctor(options: ReadOptions) {
  const environment = readEnvironment();
  const told = await askServer();
  const looks = Object.entries({ ...LOOKS, ...(told ? {} : LOOKS_WITHOUT_SERVER) });
  const own = await Promise.all(looks.map(([name, look]) => check(name, () => look(environment))));
  const others = told ?? (await capabilities(environment));
  const checks = [...own, ...others.filter(({ name }) => !own.some((known) => known.name === name))];
  const problems = checks.filter((each) => each.state === "failed").length;
  if (options.json) printJson({ ok: problems === 0, checks });
  else checks.forEach(printCheck);
  if (problems === 0) return options.json ? undefined : say("No problems.");
  throw new CliError(EXIT.doctor, "doctor.problems", `Problems: ${problems}.`);
}

function printCheck({ name, state, message, next }: Check): void {
  print(`${status(state, { ok: "✓", warning: "!", failed: "✗" }[state])} ${line(name)}: ${line(message)}`);
  if (state !== "ok" && next) print(`    ${line(next)}`);
}

async function check(name: string, look: () => Promise<Finding> | Finding): Promise<Check> {
  try {
    return { name, ...(await look()) };
  } catch (error) {
    return { name, state: "failed", ...toFailure(error) };
  }
}

/** The server's checks; null when it does not run. */
async function askServer(): Promise<Check[] | null> {
  try {
    const { checks } = await call<{ checks: Check[] }>("GET", "/api/doctor");
    return [{ name: "server", state: "ok", message: `runs at ${findServer().url}` }, ...checks];
  } catch (error) {
    if (error instanceof CliError && error.code === "server.down") return null;
    return [{ name: "server", state: "failed", ...toFailure(error) }];
  }
}

function node(): Finding {
  const old = Number(process.versions.node.split(".")[0]) < 24;
  return old ? failed(`${process.version} is too old; 24 is needed`, "npm ci") : ok(process.version);
}

async function git(): Promise<Finding> {
  try {
    return ok((await promisify(execFile)("git", ["--version"])).stdout.trim());
  } catch {
    return failed("it cannot be run, and the hub is kept in it", "Install git.");
  }
}

function home({ home }: Environment): Finding {
  if (!existsSync(home)) return ok(`${home} is made by the first start`);
  makeHome(home);
  const open = (statSync(home).mode & 0o077) !== 0;
  return open ? warning(`others can look into ${home}`, `chmod 700 '${home}'`) : ok(home);
}

function secretsFile({ home }: Environment): Finding {
  const file = join(home, ".env");
  if (!existsSync(file)) return ok(`there is no ${file}`);
  const open = (statSync(file).mode & 0o077) !== 0;
  return open ? failed(`others can read ${file}`, `chmod 600 '${file}'`) : ok(`only you can read ${file}`);
}

/** Starts the embedded database, or reaches the given one, and asks it something. A home without one gets none here. */
async function database(environment: Environment): Promise<Finding> {
  if (!environment.databaseUrl && !existsSync(join(environment.home, "postgres"))) {
    return ok("is made by the first start");
  }
  const [{ startDatabase }, { connect }, { readHealth }, { openLog }] = await Promise.all([
    import("../store/embedded/embedded.ts"),
    import("../store/database.ts"),
    import("../store/health.ts"),
    import("../base/log.ts"),
  ]);
  const server = await startDatabase(environment, openLog({}));
  const opened = connect({ ...server.connection, connections: 1 });
  try {
    return ok(`PostgreSQL ${(await readHealth(opened)).version}, ${server.kind}`);
  } finally {
    await opened.close();
    await server.stop();
  }
}

async function modelKeys(environment: Environment): Promise<Finding> {
  const { findTargets } = await import("../models/targets.ts");
  const targets = findTargets(await readConfig(), environment);
  const problem = targets.find((target) => target.problem)?.problem;
  if (problem) return warning(problem.message, problem.next ?? "daimon init");
  if (targets.some((target) => target.demo)) return warning("are not set: the demo answers", "daimon init");
  return ok("are set");
}

async function capabilities(environment: Environment): Promise<Check[]> {
  const { loadCapabilities } = await import("../registry/load.ts");
  const { installed, refused } = await loadCapabilities(environment.capabilities, environment);
  const names = installed.map(({ capability }) => capability.name).join(", ");
  return [
    { name: "capabilities", state: "ok", message: names || "none" },
    ...refused.map(({ name, problem }) => ({ name: `capability ${name}`, ...failed("", ""), ...problem })),
    { name: "server", state: "warning", message: "does not run", next: "npm start" },
  ];
}
