import { type Answer, literal, oneLine, wrapUntrusted } from "daimon";
import type { Booking } from "./bookings.ts";

const MOST_SHORT = 700;

/** `areas/meetings/2026-11-24-1500-ada-lovelace-8anpt3jl.md`: when, who, and the end of the booking's id. */
export function meetingPath({ id, name, start }: Booking): string {
  const slug = (text: string) =>
    text
      .normalize("NFKD")
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-|-$/g, "");
  const minute = start.slice(0, 16).replace("T", "-").replace(":", "");
  return `areas/meetings/${[minute, slug(name).slice(0, 40), slug(id).slice(-8)].filter(Boolean).join("-")}.md`;
}

/** What the agent is asked. What the person typed stands between marks that it cannot end. */
export function toPrompt(booking: Booking): string {
  const { name, email, title, start, answers } = booking;
  const told = [["Name", name], ["Address", email], ["Title", title], ...answers].map(
    ([question, answer]) => `${oneLine(question!)}: ${answer!.slice(0, 2000)}`,
  );
  return [
    `What do we know about the person who booked the meeting of ${start}? Write the briefing.`,
    wrapUntrusted(told.join("\n"), "the booking"),
  ].join("\n\n");
}

/** The file of a meeting: what was booked, and the briefing. */
export function renderMeeting(booking: Booking, briefing: Pick<Answer, "text" | "demo">, eventId: string): string {
  const { title, name, email, start, end, place, answers } = booking;
  return [
    "---",
    `title: ${JSON.stringify(oneLine(`${name}: ${title}`))}`,
    `created: ${start.slice(0, 10)}`,
    `source: ${eventId}`,
    "trust: untrusted",
    "tags: [meeting]",
    "---",
    "",
    `# ${literal(`${name}: ${title}`)}`,
    "",
    `- When: ${start} to ${end}`,
    `- Who: ${literal(name)}, ${literal(email)}`,
    ...(place ? [`- Where: ${literal(place)}`] : []),
    ...answers.map(([question, answer]) => `- ${literal(question)}: ${literal(answer)}`),
    "",
    "## Briefing",
    "",
    ...(briefing.demo ? ["> Demo, no model: what the hub says, copied.", ""] : []),
    briefing.text.trim(),
    "",
  ].join("\n");
}

/** What the owner reads half an hour before: who, when, and the briefing's first paragraph. */
export function renderReminder(booking: Booking, briefing: string, path: string): string {
  const { name, title, start, zone, place } = booking;
  const [first = ""] = briefing.trim().split(/\n\s*\n/);
  return [
    `Soon: ${oneLine(title)} with ${oneLine(name, 80)}, at ${clock(start, zone)}.`,
    ...(place ? [oneLine(place, 300)] : []),
    oneLine(first, MOST_SHORT),
    `All of it: ${path}`,
  ].join("\n");
}

/** `15:00 (Europe/Amsterdam)`, in UTC where the zone is not known or is none. */
function clock(start: string, zone: string | null): string {
  const hours = (timeZone: string) =>
    new Intl.DateTimeFormat("en-GB", { timeZone, hour: "2-digit", minute: "2-digit" }).format(new Date(start));
  try {
    return `${hours(zone ?? "UTC")} (${zone ?? "UTC"})`;
  } catch {
    return `${hours("UTC")} (UTC)`;
  }
}
