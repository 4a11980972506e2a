import type { DaimonEvent, EventMatch, NewEvent } from "./event.ts";
import type { Label } from "./label.ts";
import type { Limits } from "./limits.ts";

/** A piece of the hub that answers a question. `lines` is `"12-31"`. */
export interface HubHit {
  readonly path: string;
  readonly lines: string;
  readonly text: string;
  /** What the file is called, where the passage does not say so itself. */
  readonly title?: string;
}

/** What a handler or a tool may do with the hub. Paths are relative to it; `archive/` is out of reach. */
export interface HubAccess {
  /** The folders with their one-line abstracts, packed to at most `budget` tokens (default 2000). */
  map(options?: { under?: string; budget?: number }): Promise<{ text: string; tokens: number }>;
  /** The passages that answer `query` best, at most `budget` tokens (default 1500). */
  search(query: string, options?: { under?: string; budget?: number }): Promise<{ hits: HubHit[]; tokens: number }>;
  /** A file's text, at most `budget` tokens (default 4000). Throws `hub.missing`. */
  read(path: string, options?: { budget?: number }): Promise<{ path: string; text: string; truncated: boolean }>;
  /** Creates a file and commits it. Throws `hub.exists` when it is there. */
  create(path: string, text: string, why: string): Promise<{ path: string; commit: string }>;
  /** Appends to a file, creating it when missing, and commits it. */
  append(path: string, text: string, why: string): Promise<{ path: string; commit: string }>;
}

export interface Logger {
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** What a tool sees beside its input. */
export interface Toolbox {
  readonly runId: string;
  /** The agent that calls. */
  readonly agent: string;
  readonly event: DaimonEvent;
  /** `run/step/call`: the same after a crash, so that the far side can recognise a repetition. */
  readonly idempotencyKey: string;
  readonly label: Label;
  readonly hub: HubAccess;
  /** The value of a secret that the tool's capability declares. Throws `secret.missing`. */
  secret(name: string): string;
  /** Keeps a new event in the source's name; its triggers run. Returns the event's id. */
  emit(event: Pick<NewEvent, "source" | "type" | "data"> & { key?: string }): Promise<string>;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly now: Date;
}

export interface Ask {
  /** An agent's name. Default `default`. */
  readonly agent?: string;
  readonly prompt: string;
  readonly limits?: Limits;
  /** Earlier messages of the conversation, oldest first. */
  readonly history?: readonly { role: "user" | "assistant"; text: string }[];
}

export interface Answer {
  readonly text: string;
  readonly usd: number;
  readonly turns: number;
  /** Why it ended: `answered`, or the limit that ended it. */
  readonly end: "answered" | "turns" | "usd" | "minutes";
  /** True when the demo model answered. */
  readonly demo: boolean;
}

export interface ApprovalRequest {
  /** One sentence: what will happen. */
  readonly title: string;
  /** The exact effect, whole. */
  readonly action: { readonly tool: string; readonly input: unknown };
  /** Duration after which it counts as denied. Default `24h`. */
  readonly timeout?: string;
}

export interface OutgoingMessage {
  /** A channel's name. Default: the channel the run's question came by, else the owner's first. */
  readonly channel?: string;
  readonly conversation?: string;
  readonly text: string;
}

/** Named checkpoints. What a completed step returned is returned again after a crash; it is not executed again. */
export interface Steps {
  /** Runs `code` and keeps its value (JSON, at most 1 MiB). At-least-once: a crash inside it runs it again. */
  run<Value>(
    name: string,
    code: (signal: AbortSignal) => Promise<Value> | Value,
    options?: StepOptions,
  ): Promise<Value>;
  /** Sleeps without holding a process. `duration`: `"90s"`, `"24h"`, `"3d"`. */
  sleep(name: string, duration: string): Promise<void>;
  /** The newest event that fits and was kept before the run's own; `null` when there is none. */
  lastEvent(name: string, match: EventMatch): Promise<DaimonEvent | null>;
  /** Waits for an event, early ones (since the run was created) included. `null` after `timeout`. */
  waitForEvent(name: string, match: EventMatch, timeout: string): Promise<DaimonEvent | null>;
  /** Lets an agent work; its model and tool calls are steps below this one. */
  agent(name: string, ask: Ask): Promise<Answer>;
  /** Asks a person; `true` when approved. */
  approve(name: string, request: ApprovalRequest): Promise<boolean>;
}

export interface StepOptions {
  /** Tries of this step in all, the first included. Default: the run's own retries. */
  readonly attempts?: number;
  /** At most once: where a crash leaves open whether it was done, it throws `step.unknown`, and a person decides. */
  readonly once?: boolean;
  /** What it returns was written by strangers: from here on the run is untrusted, and what it writes and starts. */
  readonly untrusted?: boolean;
}

/** What a handler sees. */
export interface Context<Data = unknown> {
  /** The newest of `events`. */
  readonly event: DaimonEvent<Data>;
  /** All events of the run, oldest first: those of a burst when its trigger has `debounce`, else the one. */
  readonly events: readonly DaimonEvent<Data>[];
  readonly step: Steps;
  /** Its writes are steps. */
  readonly hub: HubAccess;
  readonly agent: Steps["agent"];
  readonly wait: Steps["waitForEvent"];
  readonly approve: Steps["approve"];
  /** Keeps a message for delivery; a step. */
  send(message: OutgoingMessage): Promise<{ messageId: string }>;
  /** Keeps a new event, whose triggers run; a step. Returns its id. */
  emit(event: { source: string; type: string; data: unknown; key?: string }): Promise<string>;
  /** The value of a secret that the capability declares. Throws `secret.missing`. */
  secret(name: string): string;
  /** Where the world reaches a source: `https://daimon.example/hooks/youtube`. Throws `address.missing` without `publicUrl`. */
  address(source: string): string;
  readonly log: Logger;
  /** Aborted when the run is canceled or its lease is lost. */
  readonly signal: AbortSignal;
  /** When the run first started: the same after a crash. For a schedule, the nominal time. */
  readonly now: Date;
}

export type Handler<Data = unknown> = (context: Context<Data>) => Promise<unknown>;
