import { type Context, defineCapability, defineTrigger, defineWebhook, schemes } from "daimon";
import { type Booking, type Change, readCalcom, readCalendly } from "./bookings.ts";
import { meetingPath, renderMeeting, renderReminder, toPrompt } from "./briefing.ts";

/** How long before the meeting the owner is told. */
const AHEAD = 30 * 60_000;

/** One kind of event for all senders: `booked` and `off`, which whoever waits for the meeting hears. */
const note = (name: string, source: string, type: string[], read: (event: Context["event"]) => Change) =>
  defineTrigger({
    name,
    description: `Tells of meetings that ${source} books, moves and cancels`,
    on: { source, type },
    run: async ({ event, step, emit }) => {
      const { on, off, at } = await step.run("read the booking", () => read(event));
      if (off) await emit({ source: "booking", type: "off", key: `off ${off} ${at}`, data: { id: off, at } });
      // The same meeting at the same time is briefed once, however often the sender tells of it.
      if (on) await emit({ source: "booking", type: "booked", key: `on ${on.id} ${on.start}`, data: { ...on, at } });
      return { on: on?.id ?? null, off };
    },
  });

const brief = defineTrigger<Booking & { at: string }>({
  name: "brief",
  description: "Researches who has booked, files it, and tells the owner half an hour before the meeting",
  on: { source: "booking", type: "booked" },
  run: async (context) => {
    const { event, step, agent, hub, send, now } = context;
    const booking = event.data;
    const isOff = { source: "booking", type: "off", where: { id: booking.id } };
    // Senders promise no order: it may have been called off before we heard that it was booked.
    const before = await step.lastEvent("was it called off", isOff);
    if (before && (before.data as { at: string }).at > booking.at) return { briefed: false, why: "It was called off." };
    if (Date.parse(booking.start) <= now.getTime()) return { briefed: false, why: "It has begun already." };

    const briefing = await agent("research", { agent: "briefer", prompt: toPrompt(booking) }).catch(explain);
    const path = meetingPath(booking);
    await hub
      .create(path, renderMeeting(booking, briefing, event.id), `booking: ${booking.start.slice(0, 16)}`)
      .catch(ignoreThere);

    const early = Date.parse(booking.start) - AHEAD - now.getTime();
    if (early > 0 && (await step.waitForEvent("until half an hour before", isOff, `${early}ms`))) {
      await hub.append(path, "\n**Called off**, or moved to another time.\n", "booking: called off");
      return { briefed: false, why: "It was called off.", path };
    }
    await send({ text: renderReminder(booking, briefing.text, path) });
    return { briefed: true, path };
  },
});

/** Without a briefing there is still a meeting; a model that is away is waited for. */
function explain(error: Error & { code?: string }): { text: string; demo: boolean } {
  if (/^(agent|limit|price|model-key)\.|^model\.(invalid|unknown)$/.test(error.code ?? ""))
    return { text: `There is no briefing: ${error.message}`, demo: false };
  throw error;
}

/** A replayed event has its file already. */
function ignoreThere(error: { code?: string }): void {
  if (error.code !== "hub.exists") throw error;
}

export default defineCapability({
  name: "booking",
  description: "Prepares you for each meeting that is booked: who it is, half an hour before.",
  webhooks: [
    defineWebhook({ source: "calcom", description: "Bookings on Cal.com", ...schemes.calcom }),
    defineWebhook({ source: "calendly", description: "Bookings on Calendly", ...schemes.calendly }),
  ],
  triggers: [
    note(
      "note-calcom",
      "calcom",
      ["BOOKING_CREATED", "BOOKING_RESCHEDULED", "BOOKING_CANCELLED", "BOOKING_REJECTED"],
      readCalcom,
    ),
    note("note-calendly", "calendly", ["invitee.created", "invitee.canceled"], readCalendly),
    brief,
  ],
  secrets: [
    { name: "CALCOM_WEBHOOK_SECRET", description: "What Cal.com signs with", generate: true },
    { name: "CALENDLY_WEBHOOK_SECRET", description: "What Calendly signs with", generate: true },
  ],
});
