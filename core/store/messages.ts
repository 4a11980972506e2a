import { fingerprintOf } from "../base/fingerprint.ts";
import { newId } from "../base/ids.ts";
import type { Failure } from "../define/run.ts";
import type { Database } from "./database.ts";
import { toJson, toJsonOrNull, toText } from "./encode.ts";
import { openIssues } from "./issues.ts";

export type MessageState = "pending" | "sending" | "delivered" | "failed" | "unknown";

/** One message in or out, with its delivery state. */
export interface Message {
  readonly id: string;
  readonly conversationId: string;
  readonly direction: "in" | "out";
  readonly author: string;
  readonly text: string;
  readonly state: MessageState;
  readonly runId: string | null;
  /** The event that brought it. */
  readonly eventId: string | null;
  readonly detail: unknown;
  readonly createdAt: Date;
}

export interface Conversation {
  readonly id: string;
  readonly channel: string;
  readonly external: string;
  readonly title: string | null;
}

/** Channels whose messages are delivered by being read: nothing has to be sent anywhere. */
const READ_CHANNELS: readonly string[] = ["web", "cli"];

/** The conversation with one person in one channel; made when it is new. */
export async function openConversation(
  database: Database,
  conversation: { channel: string; external: string; title?: string },
): Promise<Conversation> {
  const [row] = await database.query<Conversation>(
    `insert into conversations (id, channel, external, title) values ($1, $2, $3, $4)
     on conflict (channel, external) do update set updated_at = now(), title = coalesce(conversations.title, excluded.title)
     returning id, channel, external, title`,
    [newId("cnv"), conversation.channel, conversation.external, conversation.title ?? null],
  );
  return row!;
}

export async function findConversation(database: Database, id: string): Promise<Conversation | null> {
  const [row] = await database.query<Conversation>(
    "select id, channel, external, title from conversations where id = $1",
    [id],
  );
  return row ?? null;
}

/** Keeps what a person said. */
export async function keepIncoming(
  database: Database,
  message: { conversationId: string; author: string; text: string; eventId: string },
): Promise<string> {
  const id = newId("msg");
  await database.query(
    `insert into messages (id, conversation_id, direction, author, text, state, event_id) values ($1, $2, 'in', $3, $4, 'delivered', $5)`,
    [id, message.conversationId, message.author, message.text, message.eventId],
  );
  return id;
}

/** Keeps a message for delivery. The same step of the same run keeps it once, however often it is tried. */
export async function keepOutgoing(
  database: Database,
  message: {
    conversationId: string;
    author: string;
    text: string;
    /** None for what the system itself says. */
    runId: string | null;
    step: string | null;
    detail?: unknown;
  },
): Promise<{ messageId: string }> {
  const [row] = await database.query<{ id: string }>(
    `insert into messages (id, conversation_id, direction, author, text, state, run_id, step, detail)
     select $1, c.id, 'out', $3, $4, case when c.channel = any($7) then 'delivered' else 'pending' end, $5, $6, $8
     from conversations c where c.id = $2
     on conflict (run_id, step) where step is not null do update set text = messages.text
     returning id`,
    [
      newId("msg"),
      message.conversationId,
      message.author,
      toText(message.text),
      message.runId,
      message.step,
      READ_CHANNELS,
      toJson(message.detail ?? null),
    ],
  );
  await database.query("update conversations set updated_at = now() where id = $1", [message.conversationId]);
  return { messageId: row!.id };
}

/** The last messages of a conversation, oldest first. */
export async function lastMessages(database: Database, conversationId: string, most: number): Promise<Message[]> {
  const rows = await database.query<Message>(
    `select id, conversation_id as "conversationId", direction, author, text, state, run_id as "runId", event_id as "eventId", detail, created_at as "createdAt"
     from messages where conversation_id = $1 order by id desc limit $2`,
    [conversationId, most],
  );
  return rows.reverse();
}

/** An outgoing message that is due, with where it goes. */
export interface DueMessage {
  readonly id: string;
  readonly text: string;
  readonly attempts: number;
  readonly channel: string;
  readonly conversation: string;
}

/**
 * Takes due messages for delivery and marks them `sending`. One that was being sent when its process died comes
 * to `unknown`: it may have arrived, so it is not sent again.
 */
export async function claimMessages(database: Database, most: number): Promise<DueMessage[]> {
  await database.query(
    `update messages set state = 'unknown' where state = 'sending' and due_at < now() - interval '5 minutes'`,
  );
  return await database.query<DueMessage>(
    `with due as (
       select id from messages where state = 'pending' and due_at <= now() order by due_at limit $1 for update skip locked
     )
     update messages m set state = 'sending', attempts = m.attempts + 1, due_at = now()
     from due, conversations c where m.id = due.id and c.id = m.conversation_id
     returning m.id, m.text, m.attempts, c.channel, c.external as conversation`,
    [most],
  );
}

/** Writes what delivering came to; `again` sets a failed one back to pending until then, one without belongs to an issue. */
export async function markMessage(
  database: Database,
  id: string,
  mark: { state: MessageState; externalId?: string; error?: Failure; again?: Date },
): Promise<void> {
  const { error, state, again } = mark;
  if (state !== "failed" || !error || again) return void (await writeMark(database, id, mark));
  await database.transaction(async (inside) => {
    const marked = await writeMark(inside, id, mark);
    if (!marked) return;
    const cause = { kind: "failure", about: `channel:${marked.channel}`, ...fingerprintOf(error), count: 1 } as const;
    const [issueId] = await openIssues(inside, [cause]);
    await inside.query("update messages set issue_id = $2 where id = $1", [id, issueId]);
  });
}

async function writeMark(
  database: Database,
  id: string,
  mark: Parameters<typeof markMessage>[2],
): Promise<{ channel: string } | undefined> {
  const [row] = await database.query<{ channel: string }>(
    `update messages m set state = $2, external_id = coalesce($3, external_id), error = $4, due_at = coalesce($5, due_at)
     from conversations c where m.id = $1 and m.state = 'sending' and c.id = m.conversation_id returning c.channel`,
    [id, mark.again ? "pending" : mark.state, mark.externalId ?? null, toJsonOrNull(mark.error), mark.again ?? null],
  );
  return row;
}
