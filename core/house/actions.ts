import type { Clock } from "../base/clock.ts";
import type { Environment } from "../base/environment.ts";
import { DaimonError, unknownName } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import type { Live } from "../base/live.ts";
import type { Actions } from "../console/options.ts";
import { OWNER } from "../define/label.ts";
import type { Watch } from "../issues/watch.ts";
import type { Registry } from "../registry/registry.ts";
import type { Handlers } from "../runs/registered.ts";
import type { Runs } from "../runs/runs.ts";
import type { ScheduleClock } from "../schedules/clock.ts";
import type { Schedules } from "../schedules/schedules.ts";
import type { Database } from "../store/database.ts";
import { findConversation, keepIncoming, openConversation } from "../store/messages.ts";
import type { InstalledParts } from "./installed.ts";
import { sendSamples } from "./samples.ts";

export interface ActionsOptions {
  readonly database: Database;
  readonly runs: Runs;
  readonly schedules: ScheduleClock;
  readonly watch: Watch;
  readonly madeSchedules: Schedules;
  readonly handlers: Handlers;
  readonly parts: InstalledParts;
  readonly registry: Registry;
  readonly live: Live;
  readonly clock: Clock;
  readonly url: () => string;
  /** How the world calls it. */
  readonly publicUrl: string;
  readonly environment: Pick<Environment, "envFile">;
  readonly agents: () => readonly string[];
  readonly doctor: Actions["doctor"];
}

/** What the console and the CLI can have done. */
export function createActions(options: ActionsOptions): Actions {
  const { runs, schedules } = options;
  return {
    replay: runs.replay,
    repair: runs.repair,
    retry: runs.retry,
    cancel: runs.cancel,
    pause: runs.pause,
    fireSchedule: schedules.fire,
    pauseSchedule: schedules.pause,
    schedules: options.madeSchedules,
    answerApproval: (id, answer, by) => runs.answer(id, answer === "approve" ? "approved" : "denied", by),
    closeIssue: options.watch.close,
    chat: (question) => ask(question, options),
    stop: runs.setStopped,
    sendSamples: (request) =>
      sendSamples(request, {
        sources: options.parts.sources,
        samples: options.registry.installed.flatMap((one) => one.samples),
        url: options.url(),
        publicUrl: options.publicUrl,
        envFile: options.environment.envFile,
        now: options.clock.now,
      }),
    doctor: options.doctor,
  };
}

/** Keeps a question as an event with its run, and as a message of its conversation, in one transaction. */
async function ask(question: Parameters<Actions["chat"]>[0], options: ActionsOptions): ReturnType<Actions["chat"]> {
  const { database } = options;
  const agent = question.agent ?? "default";
  const handler = options.agents().includes(agent) ? options.handlers.get(`agent:${agent}`) : undefined;
  if (!handler) throw unknownName("agent.missing", `agent "${agent}"`, options.agents());
  const conversation = question.conversation
    ? await findConversation(database, question.conversation)
    : await openConversation(database, {
        channel: question.channel,
        external: newId("cnv"),
        title: question.text.slice(0, 80),
      });
  const missing = `There is no conversation ${question.conversation}.`;
  if (!conversation) throw new DaimonError("conversation.missing", missing, "Leave it out.");
  const event = {
    source: "chat",
    type: "message",
    data: { channel: question.channel, conversation: conversation.id, text: question.text, agent },
    label: OWNER,
  };
  const named = { handler, key: `conversation:${conversation.id}`, keyLimit: 1 };
  const kept = await database.transaction(async (inside) => {
    const [one] = await options.runs.keep(inside, [
      { event, decision: { outcome: "dispatched", reason: null, runs: [named] } },
    ]);
    await keepIncoming(inside, {
      conversationId: conversation.id,
      author: "owner",
      text: question.text,
      eventId: one!.eventId,
    });
    return one!;
  });
  options.live.publish({ kind: "message", id: conversation.id });
  options.runs.announce([kept]);
  return { runId: kept.runIds[0]!, eventId: kept.eventId, conversation: conversation.id };
}
