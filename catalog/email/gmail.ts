import { type Context, callApi, readPayload, z } from "daimon";
import { type Mail, type Reply, toMail } from "./mail.ts";

const API = "https://gmail.googleapis.com/gmail/v1/users/me";
const TOKENS = "https://oauth2.googleapis.com/token";
const NEXT =
  "GMAIL_CLIENT_ID, GMAIL_CLIENT_SECRET and GMAIL_REFRESH_TOKEN must belong together, with the scope gmail.modify.";

/** What leads into the mailbox. An access token is fetched for each step and kept nowhere. */
export interface Access {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly refreshToken: string;
  readonly signal: AbortSignal;
}

/** A message of the mailbox, by name. */
export interface Found {
  readonly id: string;
  readonly threadId: string;
}

async function ask(access: Access, path: string, more: { body?: object; once?: boolean } = {}): Promise<unknown> {
  const { clientId, clientSecret, refreshToken, signal } = access;
  const form = { client_id: clientId, client_secret: clientSecret, refresh_token: refreshToken };
  const granted = await callApi({
    ...{ api: "gmail", url: TOKENS, signal, next: NEXT },
    body: new URLSearchParams({ grant_type: "refresh_token", ...form }),
  });
  const { access_token: token } = z.object({ access_token: z.string() }).parse(granted);
  return await callApi({
    ...{ api: "gmail", url: API + path, signal, next: NEXT, ...more },
    headers: { authorization: `Bearer ${token}` },
  });
}

const push = z.object({ message: z.object({ data: z.base64() }) });
const change = z.object({ emailAddress: z.string(), historyId: z.coerce.string() });

/** Whose mailbox has changed, and to which point of its history. https://developers.google.com/workspace/gmail/api/guides/push#receive_notifications */
export function readPush(event: Context["event"]): { account: string; historyId: string } {
  const { data } = readPayload(push, event).message;
  let decoded: unknown = null;
  try {
    decoded = JSON.parse(Buffer.from(data, "base64").toString("utf8"));
  } catch {
    // What is no JSON is no change, and is told of as that.
  }
  const { emailAddress: account, historyId } = readPayload(change, { ...event, data: decoded });
  return { account, historyId };
}

const message = z.object({ id: z.string(), threadId: z.string(), labelIds: z.array(z.string()).optional() });
const history = z.object({
  history: z.array(z.object({ messagesAdded: z.array(z.object({ message })).optional() })).optional(),
  nextPageToken: z.string().optional(),
});
const list = z.object({ messages: z.array(message).optional(), nextPageToken: z.string().optional() });
const isIn = ({ labelIds = [] }: z.infer<typeof message>) =>
  labelIds.includes("INBOX") && !labelIds.some((label) => label === "SENT" || label === "DRAFT");

/** A page of what has come into the inbox since a point of the history; null when Gmail remembers it no more. */
export async function listSince(access: Access, page: string | null, since: string): Promise<Page | null> {
  const query = new URLSearchParams({ startHistoryId: since, historyTypes: "messageAdded", labelId: "INBOX" });
  if (page) query.set("pageToken", page);
  try {
    const answer = history.parse(await ask(access, `/history?${query}`));
    const added = (answer.history ?? []).flatMap(({ messagesAdded = [] }) => messagesAdded.map((one) => one.message));
    return { found: added.filter(isIn).map(nameOf), next: answer.nextPageToken ?? null };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "gmail.missing") return null;
    throw error;
  }
}

/** A page of what has come into the inbox within two days. */
export async function listRecent(access: Access, page: string | null): Promise<Page> {
  const query = new URLSearchParams({ q: "in:inbox newer_than:2d" });
  if (page) query.set("pageToken", page);
  const answer = list.parse(await ask(access, `/messages?${query}`));
  return { found: (answer.messages ?? []).map(nameOf), next: answer.nextPageToken ?? null };
}

export interface Page {
  readonly found: readonly Found[];
  readonly next: string | null;
}
const nameOf = ({ id, threadId }: Found): Found => ({ id, threadId });

interface Part {
  readonly mimeType?: string | undefined;
  readonly filename?: string | undefined;
  readonly headers?: readonly { name: string; value: string }[] | undefined;
  readonly body?: { data?: string | undefined } | undefined;
  readonly parts?: readonly Part[] | undefined;
}
const part: z.ZodType<Part> = z.lazy(() =>
  z.object({
    mimeType: z.string().optional(),
    filename: z.string().optional(),
    headers: z.array(z.object({ name: z.string(), value: z.string() })).optional(),
    body: z.object({ data: z.string().optional() }).optional(),
    parts: z.array(part).optional(),
  }),
);

/** A mail; null when it is gone. https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages/get */
export async function fetchGmail(access: Access, id: string): Promise<Mail | null> {
  const answer = await ask(access, `/messages/${encodeURIComponent(id)}?format=full`).catch(
    (error: { code?: string }) => {
      if (error.code === "gmail.missing") return null;
      throw error;
    },
  );
  if (answer === null) return null;
  const { payload } = z.object({ payload: part }).parse(answer);
  const all = flatten(payload);
  const body = (type: string) => {
    const found = all.find(({ mimeType, filename, body }) => mimeType === type && !filename && body?.data);
    return found ? Buffer.from(found.body!.data!, "base64url").toString("utf8") : null;
  };
  const headers = (payload.headers ?? []).map(({ name, value }) => [name, value] as const);
  const header = (name: string) => headers.find(([known]) => known.toLowerCase() === name)?.[1] ?? "";
  return toMail({
    ...{ from: header("from"), to: [header("to")], subject: header("subject"), headers },
    ...{ text: body("text/plain"), html: body("text/html") },
    attachments: all.flatMap(({ filename }) => filename || []),
  });
}

const flatten = (one: Part): Part[] => [one, ...(one.parts ?? []).flatMap(flatten)];

/** Sends it within its thread; asked twice it sends it twice. Returns its id. */
export async function sendGmail(access: Access, reply: Reply, threadId: string): Promise<string> {
  const body = { raw: Buffer.from(toMime(reply)).toString("base64url"), threadId };
  const answer = await ask(access, "/messages/send", { body, once: true });
  return z.object({ id: z.string() }).nullable().parse(answer)?.id ?? "";
}

/** The mail as it goes over the wire. Gmail puts the From. https://www.rfc-editor.org/rfc/rfc2047 for the subject */
export function toMime({ to, subject, text, headers }: Reply): string {
  const encoded = /^[\x20-\x7e]*$/.test(subject) ? subject : encodeWords(subject);
  const lines = [
    `To: ${to}`,
    `Subject: ${encoded}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    "MIME-Version: 1.0",
    'Content-Type: text/plain; charset="utf-8"',
    "Content-Transfer-Encoding: base64",
    "",
    ...(Buffer.from(text.replace(/\r?\n/g, "\r\n"))
      .toString("base64")
      .match(/.{1,76}/g) ?? []),
    "",
  ];
  return lines.join("\r\n");
}

/** At most 75 characters a word: ten characters of text are at most 40 bytes. */
const encodeWords = (text: string) =>
  ([...text].join("").match(/.{1,10}/gsu) ?? [])
    .map((word) => `=?utf-8?B?${Buffer.from(word).toString("base64")}?=`)
    .join("\r\n ");

/** Has Gmail tell the topic of what comes into the inbox, for seven days. https://developers.google.com/workspace/gmail/api/reference/rest/v1/users/watch */
export async function watch(access: Access, topicName: string): Promise<{ historyId: string; expiration: string }> {
  const body = { topicName, labelIds: ["INBOX"], labelFilterBehavior: "INCLUDE" };
  const shape = z.object({ historyId: z.coerce.string(), expiration: z.coerce.string() });
  return shape.parse(await ask(access, "/watch", { body }));
}
