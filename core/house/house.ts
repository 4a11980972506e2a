import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createAgents } from "../agents/agents.ts";
import { DEFAULT_AGENT, readAgents } from "../agents/files.ts";
import { hubTools } from "../agents/tools/hub.ts";
import { systemTools } from "../agents/tools/system.ts";
import { systemClock } from "../base/clock.ts";
import type { Environment } from "../base/environment.ts";
import { newId } from "../base/ids.ts";
import { createLive } from "../base/live.ts";
import { type Log, openLog } from "../base/log.ts";
import { createOutbox } from "../channels/outbox.ts";
import { ownerZone } from "../console/options.ts";
import type { Config } from "../define/config.ts";
import { openHub } from "../hub/hub.ts";
import { openModels } from "../models/models.ts";
import { guard } from "../policy/guard.ts";
import { createSecrets } from "../policy/secrets.ts";
import { loadCapabilities } from "../registry/load.ts";
import type { Registry } from "../registry/registry.ts";
import { listenForStrays } from "../registry/strays.ts";
import type { ContextServices } from "../runs/context.ts";
import { createRuns, type Runs } from "../runs/runs.ts";
import { createScheduleClock, type RegisteredSchedule } from "../schedules/clock.ts";
import { connect, type Database } from "../store/database.ts";
import { startDatabase } from "../store/embedded/embedded.ts";
import { latestEvents } from "../store/events.ts";
import { claimMessages, keepOutgoing, lastMessages, markMessage, openConversation } from "../store/messages.ts";
import { migrate } from "../store/migrate.ts";
import { openSignals, type Signal } from "../store/signals.ts";
import { createHandlers, findTrigger, nameParts } from "./installed.ts";
import { bridgeLive } from "./peers.ts";

export type Role = "web" | "worker" | "clock";

export interface HouseOptions {
  readonly environment: Environment;
  readonly config: Config;
  readonly roles: readonly Role[];
  readonly log?: Log;
}

/** Default lease of a process on the runs it carries. */
const LEASE_MILLISECONDS = 30_000;
const DRAIN_MILLISECONDS = 25_000;
const WARM_MILLISECONDS = 1500;

/** All rooms, opened and joined; nothing claims, ticks or delivers before `start`. */
export type House = Awaited<ReturnType<typeof openHouse>>;

/** Opens every room that the roles need. The one place that knows them all, and it holds no logic of its own. */
export async function openHouse(options: HouseOptions) {
  const { environment, config, roles } = options;
  mkdirSync(environment.home, { recursive: true, mode: 0o700 });
  const log = options.log ?? openLog({ file: join(environment.home, "daimon.log") });
  const clock = systemClock;
  const live = createLive();
  const zone = ownerZone(config);

  const [server, registry] = await Promise.all([
    startDatabase(environment, log),
    loadCapabilities(environment.capabilities, environment),
  ]);
  const database = connect({ ...server.connection, connections: roles.includes("worker") ? 12 : 6 });
  const skillFolders = registry.installed.map((one) => one.skillFolder).filter((folder) => folder !== null);
  const secrets = createSecrets(environment, declaredSecrets(registry));
  const [hub] = await Promise.all([
    openHub({
      root: join(environment.home, "hub"),
      cache: join(environment.home, "cache"),
      log,
      clock,
      skillFolders,
    }),
    migrate(database),
    secrets.generate(declaredSecrets(registry)),
  ]);
  listenForStrays((folder, error) => log.error("A capability let go of an error.", { folder, error: String(error) }));
  const models = await openModels({ config, environment, database, log, clock });
  const parts = nameParts(registry, secrets, zone);
  const agentFiles = [DEFAULT_AGENT, ...registry.installed.flatMap((one) => one.agentFiles)];
  const { agents: agentList, problems } = await readAgents(agentFiles);
  for (const { path, problem } of problems) log.error(problem.message, { path });

  const hear = (signal: Signal, text: string) => {
    if (signal === "live") bridge.hear(text);
    else runs.heard(signal);
  };
  const signals = openSignals({ connection: server.connection, database, log }, hear);
  const tools = new Map([...parts.tools]);
  const agents = createAgents({
    agents: () => agentList,
    tools: () => tools,
    models,
    hub,
    guard,
    redact: secrets.redact,
    limits: config.limits.run,
    emit: async (event) => (await runs.dispatch(event)).eventId,
    history: (conversationId) => lastMessages(database, conversationId, 50),
    answer: async (answer) => {
      const kept = await keepOutgoing(database, answer);
      live.publish({ kind: "message", id: answer.conversationId });
      outbox.wake();
      return kept;
    },
    clock,
    log,
    zone,
  });
  const handlers = createHandlers(parts, agents.handler);
  const runs: Runs = createRuns({
    database,
    handlers,
    services: () => ({ hub, log, ask: agents.ask, send }),
    live,
    clock,
    log,
    allowed: config.limits.run,
    concurrency: config.concurrency ?? 100,
    leaseMilliseconds: Number(environment.values.DAIMON_LEASE_MS || LEASE_MILLISECONDS),
    roles,
    say: (signal) => signals.say(signal),
  });
  const bridge = bridgeLive({
    live,
    hasPeers: () => !roles.includes("web") || runs.hasPeers(),
    say: (text) => signals.say("live", text),
  });
  const listEvents = (filter: { source?: string; limit: number }) => latestEvents(database, filter);
  const runTrigger: Parameters<typeof systemTools>[0]["runTrigger"] = async ({
    name,
    data,
    key,
    label,
    parentRunId,
  }) => {
    const handler = findTrigger(parts, name);
    const event = { source: "daimon", type: `trigger.${name}`, key, data, label, parentRunId };
    return await runs.dispatch(event, { outcome: "dispatched", reason: null, runs: [{ handler }] });
  };
  for (const registered of [...hubTools(hub), ...systemTools({ listEvents, runTrigger })])
    tools.set(registered.tool.name, registered);

  const outbox = createOutbox({
    channels: () => parts.channels,
    claim: (most) => claimMessages(database, most),
    mark: (id, mark) => markMessage(database, id, mark),
    clock,
    log,
  });
  const send = createSend(database, () => outbox.wake());
  const schedules = createScheduleClock({
    database,
    runs,
    schedules: () => parts.schedules as ReadonlyMap<string, RegisteredSchedule>,
    clock,
    live,
    log,
  });

  let warming: NodeJS.Timeout | undefined;

  return {
    ...{
      environment,
      config,
      roles,
      log,
      clock,
      live,
      zone,
      registry,
      database,
      secrets,
      hub,
      models,
      parts,
      agentList,
      handlers,
      runs,
      schedules,
    },
    databaseStarted: server.started,
    /** The name of the token by which the CLI of this machine speaks to this process. */
    serverToken: `server ${newId("prc")}`,
    async start() {
      await schedules.sync();
      await runs.start();
      if (roles.includes("worker")) outbox.start();
      if (roles.includes("clock")) schedules.start();
      // What the first question would wait for is loaded when everything else is done.
      if (roles.includes("worker")) warming = setTimeout(() => void models.warm().catch(() => {}), WARM_MILLISECONDS);
    },
    /** Claims and fires nothing more, lets go of what is under way, closes. */
    async stop() {
      clearTimeout(warming);
      await schedules.stop();
      await outbox.stop();
      await runs.stop(DRAIN_MILLISECONDS);
      await signals.close();
      await models.stop();
      await hub.close();
      await database.close();
      await server.stop();
    },
  };
}

function declaredSecrets(registry: Registry) {
  return registry.installed.flatMap((one) => one.capability.secrets ?? []);
}

/** Keeps a handler's message in the outbox: to the conversation its question came from, else to the owner's own. */
function createSend(database: Database, wake: () => void): ContextServices["send"] {
  return async (message, { run, step, label }) => {
    const asked = run.event.data as { conversation?: unknown } | null;
    const own = run.event.source === "chat" && typeof asked?.conversation === "string" ? asked.conversation : undefined;
    const { channel = "web", conversation = "owner", text } = message;
    const conversationId =
      own ?? (await openConversation(database, { channel, external: conversation, title: "Daimon" })).id;
    const sent = { conversationId, author: run.handler, text, runId: run.id, step, detail: { label } };
    const kept = await keepOutgoing(database, sent);
    wake();
    return kept;
  };
}
