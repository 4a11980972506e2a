import { type Context, readPayload, z } from "daimon";

/** A meeting that somebody booked, whoever carries the calendar. All but the times is what they typed. */
export interface Booking {
  /** The sender's own name of it. */
  readonly id: string;
  readonly title: string;
  readonly name: string;
  readonly email: string;
  /** ISO 8601, UTC. */
  readonly start: string;
  readonly end: string;
  /** IANA zone of the owner, where the sender tells it. */
  readonly zone: string | null;
  readonly place: string | null;
  /** What was asked at booking, and answered. */
  readonly answers: readonly (readonly [question: string, answer: string])[];
}

/** What a delivery comes to: a meeting that is on, and one that is off; of a meeting that moved both. */
export interface Change {
  readonly on: Booking | null;
  /** The id of the meeting that is off. */
  readonly off: string | null;
  /** When the sender said so. */
  readonly at: string;
}

const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString());
const person = z.object({ name: z.string(), email: z.string(), timeZone: z.string().nullish() });

/** https://cal.com/docs/developing/guides/automation/webhooks */
const calcom = z.object({
  createdAt: time,
  payload: z.object({
    uid: z.string(),
    rescheduleUid: z.string().nullish(),
    title: z.string(),
    startTime: time,
    endTime: time,
    organizer: person,
    attendees: z.array(person).min(1),
    location: z.string().nullish(),
    additionalNotes: z.string().nullish(),
    responses: z.record(z.string(), z.object({ label: z.string().nullish(), value: z.unknown().optional() })).nullish(),
    metadata: z.object({ videoCallUrl: z.string().nullish() }).nullish(),
  }),
});
/** Answers that stand elsewhere in the payload. */
const KNOWN = ["name", "email", "location", "guests", "rescheduleReason"];

export function readCalcom(event: Context["event"]): Change {
  const { createdAt: at, payload } = readPayload(calcom, event);
  const { attendees, organizer, metadata, responses, rescheduleUid } = payload;
  const answers = Object.entries(responses ?? {}).flatMap(([name, { label, value }]) =>
    !KNOWN.includes(name) && typeof value === "string" && value.trim() ? [[label || name, value] as const] : [],
  );
  const booking: Booking = {
    ...{ id: payload.uid, title: payload.title, name: attendees[0]!.name, email: attendees[0]!.email },
    ...{ start: payload.startTime, end: payload.endTime, zone: organizer.timeZone ?? null },
    place: metadata?.videoCallUrl || payload.location || null,
    answers: payload.additionalNotes?.trim() ? [...answers, ["Notes", payload.additionalNotes]] : answers,
  };
  if (event.type === "BOOKING_CANCELLED" || event.type === "BOOKING_REJECTED") return { on: null, off: booking.id, at };
  return { on: booking, off: event.type === "BOOKING_RESCHEDULED" ? (rescheduleUid ?? null) : null, at };
}

/** https://developer.calendly.com/api-docs/e0bbc98c86e52-webhook-payload */
const calendly = z.object({
  created_at: time,
  payload: z.object({
    uri: z.string(),
    name: z.string(),
    email: z.string(),
    questions_and_answers: z.array(z.object({ question: z.string(), answer: z.string() })).nullish(),
    scheduled_event: z.object({
      name: z.string(),
      start_time: time,
      end_time: time,
      location: z.object({ join_url: z.string().nullish(), location: z.string().nullish() }).nullish(),
    }),
  }),
});

/** A meeting that moves is one that is canceled and one that is created, each a delivery of its own. */
export function readCalendly(event: Context["event"]): Change {
  const { created_at: at, payload } = readPayload(calendly, event);
  const { uri: id, name, email, scheduled_event: meeting } = payload;
  if (event.type === "invitee.canceled") return { on: null, off: id, at };
  const on: Booking = {
    ...{ id, title: meeting.name, name, email, start: meeting.start_time, end: meeting.end_time, zone: null },
    place: meeting.location?.join_url || meeting.location?.location || null,
    answers: (payload.questions_and_answers ?? []).map(({ question, answer }) => [question, answer] as const),
  };
  return { on, off: null, at };
}
