import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, readEnvironment, readNumber } from "../base/environment.ts";
import { DaimonError } from "../base/errors.ts";
import { createLoginLink } from "../console/auth.ts";
import { createConsole } from "../console/console.ts";
import { createMetrics } from "../metrics.ts";
import { readConfig } from "../registry/config.ts";
import { startWebServer, type WebServer } from "../server.ts";
import { toRefusal } from "../store/database.ts";
import { createToken, hasLogin, removeToken } from "../store/logins.ts";
import { createRefusalCounter } from "../store/refusals.ts";
import { createIntake, type Intake } from "../triggers/intake.ts";
import { createActions } from "./actions.ts";
import { examine } from "./doctor.ts";
import { type House, openHouse, type Role } from "./house.ts";

const ROLES: readonly Role[] = ["web", "worker", "clock"];
export interface StartOptions {
  /** Which of `web`, `worker`, `clock` to run. Default: all. */
  readonly only?: readonly string[];
  readonly port?: number;
  /** Opens the browser at the login link. */
  readonly open?: boolean;
}

/** Runs the system until it is told to stop. Throws `start.exposed`, `port.taken`, `store.refused`, `home.unusable`, and what a room throws. */
export async function start(options: StartOptions): Promise<void> {
  await run(options).catch((error: NodeJS.ErrnoException) => {
    const refusal = toRefusal(error);
    if (refusal || !/^(E[A-Z]+|ERR_SQLITE_ERROR)$/.test(error.code ?? "")) throw refusal ?? error;
    const next = "Is all of it yours to write, is its disk not full, and its path shorter than 500 bytes?";
    throw new DaimonError(
      "home.unusable",
      `The home ${readEnvironment().home} cannot be used: ${error.message}.`,
      next,
    );
  });
}

async function run(options: StartOptions): Promise<void> {
  const began = performance.now();
  // Listened for from the first moment: a signal while starting is a stop, too.
  const told = untilToldToStop();
  const roles = (options.only as Role[] | undefined) ?? ROLES;
  const environment = { ...readEnvironment(), ...(options.port === undefined ? {} : { port: options.port }) };
  const lameDuck = readNumber(environment.values, "DAIMON_LAME_DUCK_MS", 0);
  const config = await readConfig();
  let door: Door | undefined;
  const web = roles.includes("web") ? await openPort(environment, () => door) : undefined;
  const house = await openHouse({ environment, config, roles }).catch(async (error) => {
    await web?.close();
    throw error;
  });
  const begin = async (): Promise<Partial<Awaited<ReturnType<typeof announce>>>> => {
    if (web && !isLoopback(environment.host)) await requireLogin(house);
    if (web) door = openDoor(house, web);
    await house.start();
    return web ? await announce(house, web) : {};
  };
  const { link, withdraw } = await begin().catch(async (error) => {
    await web?.close();
    await house.stop();
    throw error;
  });
  if (door) door.ready = true;
  tell(house, link, performance.now() - began);
  if (link && options.open) openBrowser(link);

  const gone = await Promise.race([told, house.server.gone]);
  // There is nothing left to finish anything in.
  if (gone) throw gone;
  process.stderr.write("Stopping: finishing what is under way. Ctrl-C again to stop at once.\n");
  process.once("SIGINT", () => process.exit(130));
  if (door) door.ready = false;
  // A proxy needs a moment to see 503 on /readyz and to look elsewhere.
  if (web) await new Promise((resolve) => setTimeout(resolve, lameDuck));
  if (web && door) await closeDoor(house, web, door);
  withdraw?.();
  await house.stop();
}

async function closeDoor(house: House, web: WebServer, door: Door): Promise<void> {
  door.closing.abort();
  await web.close();
  await removeToken(house.database, house.serverToken).catch(() => {});
}

/** What the web server answers with, once the rooms are open. */
interface Door {
  readonly intake: Intake;
  readonly app: ReturnType<typeof createConsole>;
  readonly metrics: () => Promise<string>;
  readonly closing: AbortController;
  ready: boolean;
}

async function openPort(environment: { host: string; port: number }, door: () => Door | undefined): Promise<WebServer> {
  return await startWebServer({
    host: environment.host,
    port: environment.port,
    intake: () => door()?.intake,
    app: () => door()?.app,
    ready: () => door()?.ready ?? false,
    metrics: () => door()?.metrics,
  });
}

function openDoor(house: House, web: WebServer): Door {
  const { database, live, log, clock, runs, parts, registry, environment } = house;
  const closing = new AbortController();
  const publicUrl = (house.config.publicUrl ?? web.url).replace(/\/+$/, "");
  const intake = createIntake({
    sources: parts.sources,
    runs,
    refuse: createRefusalCounter(database),
    live,
    log,
    now: clock.now,
    publicUrl,
  });
  const actions = createActions({
    ...house,
    // Samples go through the real door, by the address that this machine reaches it at.
    url: () => `http://${isLoopback(environment.host) ? "127.0.0.1" : environment.host}:${web.port}`,
    publicUrl,
    agents: () => house.agentList.map((agent) => agent.name),
    doctor: () => examine({ ...house, offered: intake.offered }),
  });
  const app = createConsole({
    ...house,
    version: JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version,
    address: () => ({ host: environment.host, port: web.port }),
    envFile: environment.envFile,
    capabilities: () => registry,
    agents: () => house.agentList,
    hasSecret: house.secrets.has,
    actions,
    closing: closing.signal,
  });
  return { intake, app, metrics: createMetrics(house), closing, ready: false };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\./.test(host);
}

async function requireLogin(house: House): Promise<void> {
  if (await hasLogin(house.database, house.clock.now())) return;
  throw new DaimonError(
    "start.exposed",
    `HOST=${house.environment.host} is reachable from outside, and nobody has signed in yet.`,
    "Start once without HOST, open the login link, then start with HOST again.",
  );
}

/** Writes how the CLI reaches us; returns a one-time login link, and how to take that back. */
async function announce(house: House, web: WebServer): Promise<{ link: string; withdraw: () => void }> {
  const now = house.clock.now();
  const named = { name: house.serverToken, scope: "admin", days: 365, replace: true } as const;
  const token = await createToken(house.database, named, now);
  const url = web.url.replace("0.0.0.0", "127.0.0.1").replace("[::]", "127.0.0.1");
  const file = join(house.environment.home, "server.json");
  const text = JSON.stringify({ url, pid: process.pid, token, startedAt: now.toISOString() });
  writeFileSync(file, text, { mode: 0o600 });
  house.log.info("Daimon is ready.", { url, roles: house.roles });
  return {
    link: await createLoginLink(house.database, house.config.publicUrl ?? url.replace("127.0.0.1", "localhost"), now),
    // Of two processes of one home, it names the later one.
    withdraw: () => existsSync(file) && readFileSync(file, "utf8") === text && rmSync(file),
  };
}

function tell(house: House, link: string | undefined, milliseconds: number): void {
  const models = house.models.list();
  const lines = [
    `Daimon is ready (${Math.round(milliseconds)} ms, ${house.roles.join(" + ")}).`,
    ...(models.some((model) => model.demo)
      ? [
          `No model key is set: the demo answers, no model. To make it real, write ANTHROPIC_API_KEY=… into ${house.environment.envFile}.`,
        ]
      : []),
    ...house.registry.refused.map(
      ({ name, problem }) => `The capability ${name} was refused: ${problem.message} ${problem.next ?? ""}`,
    ),
    ...(link ? ["", `Open ${link}`, "(it works once, for 10 minutes; another: npx daimon login)"] : []),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

function openBrowser(link: string): void {
  const command = process.platform === "darwin" ? "open" : "xdg-open";
  spawn(command, [link], { stdio: "ignore", detached: true })
    .on("error", () => {})
    .unref();
}

/** Told again it still stops in good order: a service manager tells each process of a group, and our launcher passes its own on. */
async function untilToldToStop(): Promise<void> {
  await new Promise<void>((resolve) => {
    process.on("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
    process.on("SIGHUP", () => resolve());
  });
}
