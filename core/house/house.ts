import { join } from "node:path";
import { createAgents, readDefaultAgent } from "../agents/agents.ts";
import type { RegisteredTool } from "../agents/toolbox.ts";
import { hubTools } from "../agents/tools/hub.ts";
import { type ScheduleToolsOptions, scheduleTools } from "../agents/tools/schedules.ts";
import { type SystemToolsOptions, systemTools } from "../agents/tools/system.ts";
import { type Clock, createClock } from "../base/clock.ts";
import { type Environment, makeHome, readNumber } from "../base/environment.ts";
import { newId } from "../base/ids.ts";
import { createLive, type Live } from "../base/live.ts";
import { type Log, openLog } from "../base/log.ts";
import { timeWords } from "../base/zones.ts";
import { createOutbox } from "../channels/outbox.ts";
import { ownerZone } from "../console/options.ts";
import type { Config } from "../define/config.ts";
import { openHub } from "../hub/hub.ts";
import { createWatch } from "../issues/watch.ts";
import { openModels } from "../models/models.ts";
import { guard } from "../policy/guard.ts";
import { createSecrets } from "../policy/secrets.ts";
import { loadCapabilities } from "../registry/load.ts";
import type { Registry } from "../registry/registry.ts";
import { listenForStrays } from "../registry/strays.ts";
import type { ContextServices } from "../runs/context.ts";
import { createRuns, type Runs } from "../runs/runs.ts";
import { createScheduleClock } from "../schedules/clock.ts";
import { createSchedules, type Schedules } from "../schedules/schedules.ts";
import type { TellOwner } from "../schedules/settle.ts";
import { connect, type Database, openLines } from "../store/database.ts";
import { type DatabaseServer, startDatabase } from "../store/embedded/embedded.ts";
import { latestEvents } from "../store/events.ts";
import { claimMessages, keepOutgoing, lastMessages, markMessage, openConversation } from "../store/messages.ts";
import { migrate } from "../store/migrate.ts";
import { listSchedules } from "../store/schedules.ts";
import { openSignals } from "../store/signals.ts";
import { createHandlers, findTrigger, type InstalledParts, nameParts } from "./installed.ts";
import { bridgeLive } from "./peers.ts";
import { createWatched } from "./watched.ts";

export type Role = "web" | "worker" | "clock";

export interface HouseOptions {
  readonly environment: Environment;
  readonly config: Config;
  readonly roles: readonly Role[];
  readonly log?: Log;
  /** Default: the machine's. */
  readonly clock?: Clock;
}

/** Default lease of a process on the runs it carries. */
const LEASE_MILLISECONDS = 30_000;
const DRAIN_MILLISECONDS = 25_000;
const WARM_MILLISECONDS = 1500;
/** Messages of a conversation that an agent is handed at most. */
const MOST_HISTORY = 50;

/** All rooms, opened and joined; nothing claims, ticks or delivers before `start`. */
export type House = Awaited<ReturnType<typeof openHouse>>;

/** Opens every room that the roles need and joins them. The one place that knows them all. */
export async function openHouse(options: HouseOptions) {
  const ground = await openGround(options);
  const rooms = joinRooms(ground);
  let warming: NodeJS.Timeout | undefined;
  return {
    ...ground,
    ...rooms,
    /** The name of the token by which the CLI of this machine speaks to this process. */
    serverToken: `server ${newId("prc")}`,
    async start() {
      await rooms.schedules.sync();
      await rooms.runs.start();
      if (ground.roles.includes("clock")) {
        rooms.schedules.start();
        rooms.watch.start();
      }
      if (!ground.roles.includes("worker")) return;
      rooms.outbox.start();
      // What the first question would wait for is loaded when everything else is done.
      warming = setTimeout(() => void ground.models.warm().catch(() => {}), WARM_MILLISECONDS);
    },
    /** Claims and fires nothing more, lets go of what is under way, closes. */
    async stop() {
      clearTimeout(warming);
      await rooms.schedules.stop();
      await rooms.watch.stop();
      await rooms.outbox.stop();
      await rooms.runs.stop(DRAIN_MILLISECONDS);
      await rooms.signals.close();
      await ground.models.stop();
      await ground.hub.close();
      await Promise.all([ground.database.close(), ground.heart.close()]);
      await ground.server.stop();
    },
  };
}

/** What everything stands on. When it cannot all be had, the database is not left running alone. */
async function openGround(options: HouseOptions) {
  const { environment } = options;
  makeHome(environment.home);
  const log = options.log ?? openLog({ file: join(environment.home, "daimon.log") });
  const [server, registry] = await Promise.all([
    startDatabase(environment, log),
    loadCapabilities(environment.capabilities, environment),
  ]);
  return await layGround({ ...options, log, server, registry }).catch(async (error) => {
    await server.stop();
    throw error;
  });
}

type Footing = HouseOptions & { log: Log; server: DatabaseServer; registry: Registry };

/** The database, what is installed, the hub, secrets and models. */
async function layGround({ environment, config, roles, log, server, registry, ...footing }: Footing) {
  const clock = footing.clock ?? createClock(environment.values.DAIMON_CLOCK);
  const lines = openLines();
  const connection = { ...server.connection, stream: lines.stream };
  const database = connect({ ...connection, connections: roles.includes("worker") ? 12 : 6 });
  const leaseMilliseconds = readNumber(environment.values, "DAIMON_LEASE_MS", LEASE_MILLISECONDS);
  const patience = { query_timeout: leaseMilliseconds, connectionTimeoutMillis: leaseMilliseconds };
  const heart = connect({ ...server.connection, connections: 1, ...patience });
  const declared = registry.installed.flatMap((one) => one.capability.secrets ?? []);
  const secrets = createSecrets(environment, declared);
  const skillFolders = registry.installed.map((one) => one.skillFolder).filter((folder) => folder !== null);
  const place = { root: join(environment.home, "hub"), cache: join(environment.home, "cache") };
  const [hub] = await Promise.all([
    openHub({ ...place, log, clock, skillFolders }),
    migrate(database),
    secrets.generate(declared),
  ]);
  const agentList = [await readDefaultAgent(), ...registry.installed.flatMap((one) => one.agents)];
  listenForStrays((folder, error) => log.error("A capability let go of an error.", { folder, error: String(error) }));
  const models = await openModels({ config, environment, database, log, clock });
  const zone = ownerZone(config);
  const live = createLive();
  return {
    environment,
    config,
    roles,
    log,
    clock,
    zone,
    live,
    server,
    registry,
    connection,
    database,
    heart,
    leaseMilliseconds,
    onSilence: lines.breakOff,
    secrets,
    hub,
    agentList,
    models,
  };
}

type Ground = Awaited<ReturnType<typeof openGround>>;

/** The hall and the rooms above it. They need one another, so each is handed what it asks for when it asks. */
function joinRooms(ground: Ground) {
  const { config, roles, log, clock, zone, live, registry, database, secrets, hub, agentList, models } = ground;
  const parts = nameParts(registry, secrets, zone);
  const outbox = createOutbox({
    channels: () => parts.channels,
    claim: (most) => claimMessages(database, most),
    mark: (id, mark) => markMessage(database, id, mark),
    clock,
    log,
  });
  const send = createSend(database, outbox.wake);
  const tools = new Map<string, RegisteredTool>(parts.tools);
  const agents = createAgents({
    ...{ models, hub, guard, clock, log, zone, redact: secrets.redact, limits: config.limits.run },
    agents: () => agentList,
    tools: () => tools,
    emit: async (event) => (await runs.dispatch(event)).eventId,
    history: (conversationId) => lastMessages(database, conversationId, MOST_HISTORY),
    answer: async (answer) => {
      const kept = await keepOutgoing(database, answer);
      live.publish({ kind: "message", id: answer.conversationId });
      outbox.wake();
      return kept;
    },
  });
  const handlers = createHandlers(parts, agents);
  const runs: Runs = createRuns({
    ...{ database, handlers, live, clock, log, roles, allowed: config.limits.run },
    services: () => ({ hub, log, ask: agents.ask, send, publicUrl: config.publicUrl }),
    concurrency: config.concurrency ?? 100,
    ...{ heart: ground.heart, leaseMilliseconds: ground.leaseMilliseconds, onSilence: ground.onSilence },
    say: (signal) => signals.say(signal),
  });
  const madeSchedules = createSchedules({
    database,
    clock,
    live,
    zone,
    agents: () => agentList.map(({ name }) => name),
  });
  const houseTools = [
    ...hubTools(hub),
    ...systemTools(createSystem(database, parts, runs)),
    ...scheduleTools(createScheduling(database, madeSchedules, zone)),
  ];
  for (const registered of houseTools) tools.set(registered.tool.name, registered);
  const hasPeers = () => !roles.includes("web") || runs.hasPeers();
  const bridge = bridgeLive({ live, hasPeers, say: (text) => signals.say("live", text) });
  const signals = openSignals({ connection: ground.connection, database, log }, (signal, text) =>
    signal === "live" ? bridge.hear(text) : runs.heard(signal),
  );
  const tell = createTell(live, outbox.wake);
  const schedules = createScheduleClock({
    ...{ database, runs, clock, live, log, schedules: () => parts.schedules },
    handler: (name) => handlers.get(`schedule:${name}`),
    tell,
  });
  const watch = createWatch({
    ...{ database, clock, live, log },
    watched: createWatched({ database, parts, config }),
    tell: (inside, text) => tell(inside, { text }),
  });
  return { parts, tools, handlers, runs, outbox, signals, schedules, madeSchedules, watch };
}

/** What agents may see and start of the system itself. */
function createSystem(database: Database, parts: InstalledParts, runs: Runs): SystemToolsOptions {
  return {
    listEvents: (filter) => latestEvents(database, filter),
    runTrigger: async ({ name, ...event }) => {
      const handler = findTrigger(parts, name);
      const decision = { outcome: "dispatched", reason: null, runs: [{ handler }] } as const;
      return await runs.dispatch({ source: "daimon", type: `trigger.${name}`, ...event }, decision);
    },
  };
}

/** What agents may do with schedules; those they make report to the conversation that they were made in. */
function createScheduling(database: Database, schedules: Schedules, zone: string): ScheduleToolsOptions {
  return {
    list: async () =>
      (await listSchedules(database)).map(({ name, label, cron, text, description, nextAt, ...row }) => {
        const next = row.paused ? "paused" : nextAt ? `next ${timeWords(zone, nextAt)}` : "done";
        return {
          name,
          label,
          words: `${cron ? `${cron} ${row.zone}` : "once"}, ${next}: ${text ?? description ?? ""}`,
        };
      }),
    create: async (wish, { event, label }) => {
      const asked = event.data as { conversation?: unknown } | null;
      const conversationId = typeof asked?.conversation === "string" && isOwn(event.source) ? asked.conversation : null;
      const { name, nextAt, note } = await schedules.add(wish, { origin: "agent", conversationId, label });
      return [`${name} is made; it comes ${timeWords(zone, nextAt!)} (${zone}).`, note].filter(Boolean).join(" ");
    },
    remove: schedules.remove,
  };
}

/** Sources whose events we make ourselves, so that the conversation in their data is one. */
const isOwn = (source: string) => source === "chat" || source === "schedule";

const ownerConversation = (database: Database, channel = "web", external = "owner") =>
  openConversation(database, { channel, external, title: "Daimon" });

/** Keeps a handler's message in the outbox: to the conversation its question came from, else to the owner's own. */
function createSend(database: Database, wake: () => void): ContextServices["send"] {
  return async (message, { run, step, label }) => {
    const asked = run.event.data as { conversation?: unknown } | null;
    const own = isOwn(run.event.source) && typeof asked?.conversation === "string" ? asked.conversation : undefined;
    const { channel, conversation, text } = message;
    const conversationId = own ?? (await ownerConversation(database, channel, conversation)).id;
    const sent = { conversationId, author: run.handler, text, runId: run.id, step, detail: { label } };
    const kept = await keepOutgoing(database, sent);
    wake();
    return kept;
  };
}

/** Keeps what the system itself says to the owner, in the owner's own conversation if in no other. */
function createTell(live: Live, wake: () => void) {
  return async (inside: Database, { text, ...more }: { text: string } & Partial<Parameters<TellOwner>[1]>) => {
    const { conversationId, label, runId = null, step = null } = more;
    const id = conversationId ?? (await ownerConversation(inside)).id;
    const detail = label ? { label } : null;
    await keepOutgoing(inside, { conversationId: id, author: "daimon", text, runId, step, detail });
    return () => {
      live.publish({ kind: "message", id });
      wake();
    };
  };
}
