import type { Clock } from "../base/clock.ts";
import type { Live } from "../base/live.ts";
import type { Log } from "../base/log.ts";
import type { Agent } from "../define/agent.ts";
import type { Config } from "../define/config.ts";
import type { HubAccess } from "../define/context.ts";
import type { Models } from "../models/models.ts";
import type { Registry } from "../registry/registry.ts";
import type { Repair } from "../runs/repair.ts";
import type { Schedules } from "../schedules/schedules.ts";
import type { Database } from "../store/database.ts";
import type { Verdict } from "../store/runs.ts";

/** One thing that `doctor` looked at. */
export interface Check {
  readonly name: string;
  readonly state: "ok" | "warning" | "failed";
  readonly message: string;
  readonly next?: string;
}

/** One sample that was posted, and what the door said. */
export interface SampleDelivery {
  readonly status: number;
  readonly body: unknown;
  readonly key: string;
}

/** What to post as samples: `times` deliveries, all with the same key when `duplicate`. */
export interface SampleRequest {
  readonly source: string;
  readonly type?: string;
  readonly times?: number;
  readonly badSignature?: boolean;
  /** Signed as if too long ago. Throws `sample.invalid` where no time is signed. */
  readonly stale?: boolean;
  readonly duplicate?: boolean;
  /** Merged over the recorded payload, over each item where that is a list; a list takes its place. */
  readonly data?: Readonly<Record<string, unknown>> | readonly Readonly<Record<string, unknown>>[];
}

/**
 * What the console can have done. It checks first that what an id names is there; an action throws a
 * DaimonError for what can only be known while doing it, and the last word of its code says the status
 * (see `statusOf`): `run.finished` is 409, `handler.unknown` 404.
 */
export interface Actions {
  /** Runs of the current triggers on an event that is kept, or, with other data, on a new one that is linked to it. */
  replay(eventId: string, edited?: { data: unknown }): Promise<{ eventId: string; runIds: readonly string[] }>;
  /** Replays or retries all that a filter means, in the background. */
  repair(order: Repair): Promise<{ eventId: string; runId: string }>;
  /** Queues a run again that has failed, was canceled, or waits for its next try. */
  retry(runId: string): Promise<Verdict>;
  /** Pauses `trigger:capability/name` or `source:name`, or resumes it. */
  pause(name: string, paused: boolean): Promise<unknown>;
  /** Cancels a run, or asks a running one to stop. */
  cancel(runId: string): Promise<Verdict>;
  /** `name` is `capability/schedule`. */
  fireSchedule(name: string): Promise<{ eventId: string; runIds: readonly string[] }>;
  pauseSchedule(name: string, paused: boolean): Promise<unknown>;
  /** Making, changing and removing those that no capability brings. */
  readonly schedules: Schedules;
  /** Answers once; `by` is the name of the login that answers. Throws `approval.answered`. */
  answerApproval(id: string, answer: "approve" | "deny", by: string): Promise<unknown>;
  /** `by` is the name of the login that closes. False: there is no such issue. */
  closeIssue(id: string, by: string): Promise<boolean>;
  /** Keeps a message and queues its run. */
  chat(question: {
    text: string;
    conversation?: string;
    agent?: string;
    channel: "web" | "cli";
  }): Promise<{ runId: string; eventId: string; conversation: string }>;
  /** STOP, on or off. */
  stop(stopped: boolean): Promise<unknown>;
  /** Signs recorded payloads and posts them through the real door. */
  sendSamples(request: SampleRequest): Promise<readonly SampleDelivery[]>;
  doctor(): Promise<readonly Check[]>;
}

/** One file of the pages, ready to be sent. */
export interface PageFile {
  readonly type: string;
  readonly body: Uint8Array;
  /** True when its path changes with its content, so that it may be kept for ever. */
  readonly immutable: boolean;
}

/** What the console needs of the house. */
export interface ConsoleOptions {
  readonly version: string;
  readonly database: Database;
  readonly live: Live;
  readonly hub: Pick<HubAccess, "map" | "search" | "read">;
  readonly models: Pick<Models, "list">;
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  /** Where the server listens, with the real port when PORT is 0; asked at each request. */
  readonly address: () => { readonly host: string; readonly port: number };
  /** Where the owner writes keys: `home/.env`, as they find it. */
  readonly envFile: string;
  /** What is installed and what was refused, with why. */
  readonly capabilities: () => Registry;
  /** All agents, those of the core included. */
  readonly agents: () => readonly Agent[];
  /** Whether a secret has a value; the value itself never comes here. */
  readonly hasSecret: (name: string) => boolean;
  readonly actions: Actions;
  /** Ends the open streams when it aborts, so that the server can close. */
  readonly closing?: AbortSignal;
  /** Makes the pages. Default: the bundle of `web/`; a test gives its own. */
  readonly buildBundle?: () => Promise<ReadonlyMap<string, PageFile>>;
}

/** The owner's IANA zone: days and months begin there. */
export const ownerZone = (config: Config): string =>
  config.owner.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
