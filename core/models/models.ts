import type { Clock } from "../base/clock.ts";
import type { Environment } from "../base/environment.ts";
import { DaimonError, toFailure } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Config } from "../define/config.ts";
import type { Limits } from "../define/limits.ts";
import type { Failure } from "../define/run.ts";
import type { Database } from "../store/database.ts";
import { dayOf, type Reserved, reserve, settle, sweepReservations } from "../store/spend.ts";
import { type Call, type CallAnswer, type CallUsage, callModel, loadLibrary, type Patience } from "./call.ts";
import type { ModelServer } from "./demo/server.ts";
import { DEMO_PRICE, findPrice, mostTokens, type Price } from "./prices.ts";
import { asError, callProblem, limitProblem, priceUnknown } from "./problems.ts";
import { findTargets, type Target } from "./targets.ts";

export type { ModelMessage } from "./call.ts";

export interface ModelRequest extends Pick<Call, "system" | "messages" | "tools" | "onDelta" | "signal"> {
  /** A role of `daimon.config.ts`. */
  readonly role: string;
  readonly runId: string;
  /** The step that makes the call: no other call of the run has it. */
  readonly step: string;
  /** The run's; a missing `usd` is the config's. */
  readonly limits: Limits;
  /** Is told what a call that was sent counts, once: in full, when it broke off and nobody knows. */
  readonly onCounted?: (detail: CallDetail, usd: number) => void;
}

/** Figures of one call, kept with its step. Tokens; the three kinds of input do not overlap. */
export interface CallDetail {
  readonly role: string;
  readonly provider: string;
  readonly model: string;
  readonly demo: boolean;
  /** Bytes of the request's body / 4. */
  readonly promptTokens: number;
  /** All input, what was read from and written to the cache included. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
}

export interface ModelAnswer extends Omit<CallAnswer, "usage"> {
  readonly detail: CallDetail;
  readonly usd: number;
}

export interface Models {
  /**
   * Holds the most it may cost, calls, settles. Never tries twice. Throws `model-key.missing`, `model-key.wrong`,
   * `model.unknown`, `model.invalid`, `model.denied`, `price.unknown`, `limit.usd`, which no other try mends, and
   * `model.overloaded`, `model.unreachable`, `model.failed`, `model.cut`, `model.garbled`, which one may; the
   * signal's own reason when that aborts.
   */
  call(request: ModelRequest): Promise<ModelAnswer>;
  list(): { role: string; provider: string; model: string; demo: boolean; problem?: Failure }[];
  /** Loads what the first call would wait for, and finds what `list` should complain about. */
  warm(): Promise<void>;
  stop(): Promise<void>;
}

const PATIENCE: Patience = { silence: 180_000, whole: 14 * 60_000 };
const MOST_OUTPUT = 4096;
const SWEEP_EVERY = 60_000;

interface Room {
  readonly config: Config;
  readonly database: Database;
  readonly log: Log;
  readonly clock: Clock;
  readonly patience: Patience;
}

/** Opens the models of the config's roles. Nothing is loaded, started or asked before the first call. */
export async function openModels(
  options: Omit<Room, "patience"> & { environment: Environment; patience?: Patience },
): Promise<Models> {
  const room: Room = { patience: PATIENCE, ...options };
  const targets = findTargets(options.config, options.environment);
  const problems = new Map<string, Failure>();
  const demo = demoServer(targets);
  let swept = 0;

  const open = async (role: string): Promise<{ target: Target; price: Price }> => {
    const target = targets.find((each) => each.role === role);
    if (!target) {
      const known = targets.map((each) => each.role).join(", ");
      const next = `Name one of ${known}, or add it to models in daimon.config.ts.`;
      throw new DaimonError("model.unknown", `There is no model role ${role}.`, next);
    }
    if (target.problem) throw asError(target.problem);
    if (target.demo) return { target: { ...target, baseUrl: await demo.url() }, price: DEMO_PRICE };
    const price = await findPrice(target.choice, target.baseUrl);
    if (!price) throw priceUnknown(target);
    return { target, price };
  };

  return {
    async call(request) {
      const now = room.clock.now().getTime();
      if (now - swept > SWEEP_EVERY) {
        swept = now;
        await sweepReservations(room.database, new Date(now));
      }
      try {
        const answer = await paidCall(room, request, await open(request.role));
        problems.delete(request.role);
        return answer;
      } catch (error) {
        const failure = toFailure(error);
        if (/\.(wrong|missing|unknown)$/.test(failure.code)) problems.set(request.role, failure);
        throw error;
      }
    },
    list: () =>
      targets.map((target) => {
        const problem = target.problem ?? problems.get(target.role);
        return {
          role: target.role,
          provider: target.demo ? "demo" : target.choice.provider,
          model: target.demo ? "demo" : target.choice.model,
          demo: target.demo,
          ...(problem ? { problem } : {}),
        };
      }),
    async warm() {
      await loadLibrary();
      for (const { role } of targets) {
        await open(role).catch((error) => problems.set(role, toFailure(error)));
      }
    },
    stop: () => demo.stop(),
  };
}

/** The demo model's server, started at its first use. */
function demoServer(targets: readonly Target[]) {
  let server: Promise<ModelServer> | undefined;
  let stopped = false;
  const keyName = targets.find((each) => each.demo && each.keyName)?.keyName ?? "ANTHROPIC_API_KEY";
  const hint = { keyName, envFile: targets[0]?.envFile ?? ".env" };
  return {
    async url() {
      if (stopped) throw new DaimonError("model.unreachable", "The models are stopped.");
      server ??= Promise.all([import("./demo/server.ts"), import("./demo/brain.ts")]).then(
        ([{ startModelServer }, { createDemoBrain }]) => startModelServer({ brain: createDemoBrain(hint), keep: 20 }),
      );
      return `${(await server).url}/v1`;
    },
    async stop() {
      stopped = true;
      await (await server)?.stop();
    },
  };
}

async function paidCall(
  room: Room,
  request: ModelRequest,
  { target, price }: { target: Target; price: Price },
): Promise<ModelAnswer> {
  const { choice, demo } = target;
  const maxOutputTokens = choice.maxOutputTokens ?? MOST_OUTPUT;
  const model = demo ? "demo" : choice.model;
  let held: { id: string; usd: number } | undefined;
  let bytes = 0;
  const result = await callModel({
    ...request,
    provider: demo || choice.provider === "demo" ? "anthropic" : choice.provider,
    baseUrl: target.baseUrl,
    key: demo ? "demo" : target.key,
    model,
    maxOutputTokens,
    step: `${request.runId}/${request.step}`,
    patience: room.patience,
    beforeSend: async (body) => {
      bytes = Buffer.byteLength(body);
      const usd = price.most(mostTokens(body), maxOutputTokens);
      held = { id: await hold(room, request, usd), usd };
    },
  });
  const { answer, failure } = { answer: undefined, failure: undefined, ...result };
  const detail = detailOf(answer?.usage ?? null, target, model, bytes);
  const free = failure?.maybePaid === false;
  const usd = answer?.usage ? price.cost(answer.usage) : free ? 0 : (held?.usd ?? 0);
  if (held) {
    await settleQuietly(room, held.id, usd);
    request.onCounted?.(detail, usd);
  }
  if (answer) return { ...answer, detail, usd };
  request.signal.throwIfAborted();
  throw callProblem(failure!, target);
}

/** Reserves in the run, the day and the month. Throws `limit.usd`. */
async function hold(room: Room, request: ModelRequest, usd: number): Promise<string> {
  const { config, clock, database } = room;
  const now = clock.now();
  const day = dayOf(now, config.owner.zone);
  const reserved: Reserved = await reserve(database, {
    runId: request.runId,
    step: request.step,
    usd,
    now,
    scopes: [
      { scope: `run:${request.runId}`, limitUsd: request.limits.usd ?? config.limits.run.usd },
      { scope: `day:${day}`, limitUsd: config.limits.dayUsd },
      { scope: `month:${day.slice(0, 7)}`, limitUsd: config.limits.monthUsd },
    ],
  });
  if ("refused" in reserved) throw limitProblem(reserved.refused, usd);
  return reserved.reservationId;
}

/** An answer that is paid for is not thrown away because the books cannot be written: the sweep will count it. */
async function settleQuietly(room: Room, id: string, usd: number): Promise<void> {
  try {
    await settle(room.database, id, usd);
  } catch (error) {
    room.log.warn("A model call could not be settled; it will count in full.", { error: String(error) });
  }
}

function detailOf(usage: CallUsage | null, target: Target, model: string, bytes: number): CallDetail {
  const { plainTokens = 0, cacheReadTokens = 0, cacheWriteTokens = 0, outputTokens = 0 } = usage ?? {};
  return {
    role: target.role,
    provider: target.demo ? "demo" : target.choice.provider,
    model,
    demo: target.demo,
    promptTokens: Math.ceil(bytes / 4),
    inputTokens: plainTokens + cacheReadTokens + cacheWriteTokens,
    outputTokens,
    cacheReadTokens,
    cacheWriteTokens,
  };
}
