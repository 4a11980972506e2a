import { createHash } from "node:crypto";
import type { Live } from "../base/live.ts";
import type { Log } from "../base/log.ts";
import type { NewEvent, RawRequest } from "../define/event.ts";
import { STRANGER } from "../define/label.ts";
import type { Place, Webhook } from "../define/webhook.ts";
import { at } from "../runs/match.ts";
import type { Runs } from "../runs/runs.ts";
import { BODY } from "../store/events.ts";
import type { Refusal } from "../store/refusals.ts";
import { verify } from "./verify.ts";

/** A webhook with its secrets: the current one and, while it is rotated, the one before; none when it is not set. */
export interface Source {
  readonly webhook: Webhook;
  readonly secrets: () => readonly string[];
}

export interface Answer {
  readonly status: number;
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface IntakeOptions {
  readonly sources: ReadonlyMap<string, Source>;
  readonly runs: Pick<Runs, "dispatch">;
  readonly refuse: (refusal: Refusal) => Promise<void>;
  readonly live: Live;
  readonly log: Log;
  readonly now: () => Date;
}

const DEFAULT_MAX_BYTES = 1 << 20;

/** Verify, persist, dispatch: what the door for the world does with one request. */
export interface Intake {
  receive(source: string, request: RawRequest): Promise<Answer>;
  /** The largest body of a source; undefined when there is no such source. */
  maxBytes(source: string): number | undefined;
  /** Counts a request that was not even read. */
  refuse(source: string, reason: string): void;
}

export function createIntake(options: IntakeOptions): Intake {
  const refuse = (source: string, reason: string) => {
    options.live.publish({ kind: "refusal", id: source, text: reason });
    void options.refuse({ source, reason }).catch(() => {});
  };
  return {
    refuse,
    maxBytes: (name) => {
      const source = options.sources.get(name);
      return source && (source.webhook.maxBytes ?? DEFAULT_MAX_BYTES);
    },
    async receive(name, request) {
      const source = options.sources.get(name);
      if (!source) return failure(404, "source.missing", `There is no source "${name}".`);
      const secrets = source.secrets();
      if (secrets.length === 0) {
        refuse(name, "secret missing");
        return {
          ...failure(503, "source.unready", `The source "${name}" has no secret yet.`),
          headers: { "retry-after": "300" },
        };
      }
      const refused = verify(request, source.webhook.verify, secrets, options.now());
      if (refused) {
        refuse(name, refused);
        return failure(401, "webhook.unverified", `The request of "${name}" was not let in: ${refused}.`);
      }
      const { event, parsed } = toEvent(source.webhook, request);
      try {
        const kept = await options.runs.dispatch(event, undefined, parsed);
        if (kept.duplicate) refuse(name, "duplicate");
        return {
          status: kept.duplicate ? 200 : 202,
          body: { id: kept.eventId, ...(kept.duplicate ? { duplicate: true } : {}) },
        };
      } catch (error) {
        options.log.error("An event could not be kept; its sender was asked to try again.", {
          source: name,
          error: String(error),
        });
        return {
          ...failure(503, "store.unreachable", "The event could not be kept; send it again."),
          headers: { "retry-after": "5" },
        };
      }
    },
  };
}

function failure(status: number, code: string, message: string): Answer {
  return { status, body: { error: { code, message } } };
}

/** The event of a verified request. A body that cannot be read is kept all the same, with the reason. */
export function toEvent(webhook: Webhook, request: RawRequest): { event: NewEvent; parsed: unknown } {
  const { data, parsed, problem } = parseBody(request);
  const pick = (place: Place) => {
    const value = "header" in place ? request.headers[place.header.toLowerCase()] : at(parsed, place.data);
    return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
  };
  const type = webhook.type.map(pick).filter(Boolean).join(".") || "unknown";
  const named = webhook.key && pick(webhook.key);
  const key = named || createHash("sha256").update(request.body).digest("hex");
  const event = {
    source: webhook.source,
    type,
    key,
    data,
    label: STRANGER,
    request,
    ...(problem ? { problem } : {}),
  };
  return { event, parsed };
}

function parseBody(request: RawRequest): { data: unknown; parsed: unknown; problem?: string } {
  const type = request.headers["content-type"] ?? "";
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(request.body);
    if (!type.includes("application/x-www-form-urlencoded")) return { data: BODY, parsed: JSON.parse(text) };
    const form = Object.fromEntries(new URLSearchParams(text));
    // GitHub and Slack put JSON into one field of a form.
    const parsed = form.payload === undefined ? form : JSON.parse(form.payload);
    return { data: parsed, parsed };
  } catch (error) {
    const what = error instanceof SyntaxError ? `is not JSON: ${error.message}` : "is not UTF-8";
    return { data: null, parsed: null, problem: `The body ${what}.` };
  }
}
