import { createHash, timingSafeEqual } from "node:crypto";
import type { Live } from "../base/live.ts";
import type { Log } from "../base/log.ts";
import type { RawRequest } from "../define/event.ts";
import type { Handshake, Webhook } from "../define/webhook.ts";
import type { Runs } from "../runs/runs.ts";
import type { Refusal } from "../store/refusals.ts";
import {
  type Answer,
  DUPLICATE_HEADER,
  EVENT_HEADER,
  failure,
  later,
  missing,
  NO_METHOD,
  toAnswer,
  toReceipt,
} from "./answers.ts";
import { createCheck, type Source, toVisit, type Visit } from "./check.ts";
import { toEvents } from "./event.ts";
import { holds, pickText } from "./places.ts";
import { createCount } from "./rate.ts";

export interface IntakeOptions {
  readonly sources: ReadonlyMap<string, Source>;
  readonly runs: Pick<Runs, "dispatch" | "dispatchAll">;
  readonly refuse: (refusal: Refusal) => Promise<void>;
  readonly live: Live;
  readonly log: Log;
  readonly now: () => Date;
  /** The address of this server as the world calls it, without a path. */
  readonly publicUrl: string;
}

const DEFAULT_MAX_BYTES = 1 << 20;
const LONGEST_OFFER = 500;

/** Verify, persist, dispatch: what the door for the world does with one request. */
export interface Intake {
  receive(source: string, request: RawRequest): Promise<Answer>;
  /** The largest body that is read of a request, of which the headers are there; undefined when there is no such source. */
  maxBytes(source: string, head: () => RawRequest): number | undefined;
  /** Counts a request that was not even read. */
  refuse(source: string, reason: string): void;
  /** The secret that a sender chose and brought while there was none: to be shown to the owner, and kept nowhere else. */
  offered(source: string): string | undefined;
}

export function createIntake(options: IntakeOptions): Intake {
  const check = createCheck(options);
  const count = createCount(options.now);
  const offers = new Map<string, string>();
  const refuse = (source: string, reason: string) => {
    options.live.publish({ kind: "refusal", id: source, text: reason });
    void options.refuse({ source, reason }).catch(() => {});
  };
  const unready = (name: string, reason: string, words: string) => {
    refuse(name, reason);
    return later("source.unready", `The source "${name}" ${words}.`, 300);
  };
  return {
    refuse,
    offered: (name) => offers.get(name),
    maxBytes(name, head) {
      const source = options.sources.get(name);
      const most = source && (source.webhook.maxBytes ?? DEFAULT_MAX_BYTES);
      if (!most || most <= DEFAULT_MAX_BYTES || !isToldByHeaders(source.webhook)) return most;
      // A stranger is not read to the end.
      return check.now(toVisit(source, head())) ? DEFAULT_MAX_BYTES : most;
    },
    async receive(name, request) {
      const source = options.sources.get(name);
      if (!source) return missing(name);
      const { verify: by, handshakes } = source.webhook;
      const visit = toVisit(source, request);
      if (request.method === "GET") {
        if (!handshakes?.some((one) => one.method === "GET")) return NO_METHOD;
        return greet(visit, "GET") ?? turnAway(visit, "handshake wrong", refuse);
      }
      if (source.secrets().length === 0) {
        const offer = findOffer(visit);
        if (!offer) return unready(name, "secret missing", "has no secret yet");
        offers.set(name, offer.secret);
        refuse(name, "it brought its secret: `daimon doctor` shows it");
        return offer.answer;
      }
      const refused = by.scheme === "token" ? await check.withKeys(visit, by.keys) : check.now(visit);
      if (refused === "secret unusable" || refused === "keys unreachable")
        return unready(name, refused, `cannot verify now: ${refused}`);
      if (refused) return turnAway(visit, refused, refuse);
      const greeting = greet(visit, "POST");
      if (greeting) return greeting;
      const seconds = count(source.webhook);
      if (seconds === null) return await keep(visit, options, refuse);
      refuse(name, "over its rate");
      return later("source.often", `The source "${name}" sends more than its rate allows.`, seconds, 429);
    },
  };
}

type Refuse = Intake["refuse"];

const never = () => false;

/** Whether the headers alone tell who sends. */
const isToldByHeaders = ({ verify }: Webhook) => verify.scheme === "equality" && !("data" in verify);

function turnAway({ source, request, data }: Visit, reason: string, refuse: Refuse): Answer {
  const { source: name, replies } = source.webhook;
  refuse(name, reason);
  const why = `The request of "${name}" was not let in: ${reason}.`;
  const answer = failure(
    401,
    "webhook.unverified",
    why,
    "Is it signed with the secret that is set here? daimon doctor",
  );
  return replies?.refused ? toAnswer(replies.refused, answer, { request, data }) : answer;
}

/** The answer to a sender that tries us out; undefined when the request is none of that. */
function greet(visit: Visit, method: "GET" | "POST"): Answer | undefined {
  const wanted = visit.source.webhook.handshakes?.find(
    (one) => (one.method ?? "POST") === method && !one.offers && meets(one, visit),
  );
  return wanted && toAnswer(wanted.reply, { body: {} }, visit);
}

/** The secret that the sender brings, and what it is told. */
function findOffer(visit: Visit): { secret: string; answer: Answer } | undefined {
  for (const handshake of visit.source.webhook.handshakes ?? []) {
    const secret = handshake.offers && meets(handshake, visit) && pickText(handshake.offers, visit.request, visit.data);
    if (!secret) continue;
    return { secret: secret.slice(0, LONGEST_OFFER), answer: toAnswer(handshake.reply, { body: {} }, visit) };
  }
}

function meets({ when }: Handshake, { source, request, data }: Visit): boolean {
  return holds(when, request, data, (name, value) =>
    source.secrets(name).some((secret) => timingSafeEqual(hash(secret), hash(value))),
  );
}

const hash = (text: string) => createHash("sha256").update(text).digest();

async function keep({ source, request, body, data }: Visit, options: IntakeOptions, refuse: Refuse): Promise<Answer> {
  const { webhook } = source;
  const brought = toEvents(webhook, request, body());
  try {
    const kept =
      "events" in brought
        ? await options.runs.dispatchAll(brought.request, brought.events)
        : [await options.runs.dispatch(brought.event, undefined, brought.parsed)];
    for (const { duplicate } of kept) if (duplicate) refuse(webhook.source, "duplicate");
    const receipt = toReceipt(kept);
    const reply = webhook.replies?.accepted?.find((one) => holds(one.when ?? [], request, data, never));
    if (!reply) return receipt;
    const answer = toAnswer(reply, receipt, { request, data });
    const known = receipt.status === 200 ? { [DUPLICATE_HEADER]: "true" } : {};
    return { ...answer, headers: { ...answer.headers, [EVENT_HEADER]: kept[0]!.eventId, ...known } };
  } catch (error) {
    options.log.error("An event could not be kept; its sender was asked to try again.", {
      source: webhook.source,
      error: String(error),
    });
    return later("store.unreachable", "The event could not be kept; send it again.", 5);
  }
}
