import { nextTime } from "./cron.ts";
import { DaimonError } from "./errors.ts";
import { clockWords, DAY_MILLISECONDS, DAYS, dateWords, fromWall, MONTHS, nextChange, toWall } from "./zones.ts";

/** A time that comes again, as cron; or one moment, with a note when it is not quite what was written. */
export type When = { readonly cron: string } | { readonly at: Date; readonly note: string | null };

interface Here {
  readonly zone: string;
  readonly now: Date;
}

interface TimeOfDay {
  readonly hour: number;
  readonly minute: number;
}

const TIME = "noon|midnight|\\d{1,2}(?:[:.]\\d{2})?(?: ?[ap]m)?";
const NUMBERS: Readonly<Record<string, number>> = { a: 1, an: 1, one: 1, half: 0.5 };
const MINUTE = 60_000;
const UNITS: Readonly<Record<string, number>> = {
  ...{ m: MINUTE, min: MINUTE, minute: MINUTE, h: 60 * MINUTE, hour: 60 * MINUTE },
  ...{ d: DAY_MILLISECONDS, day: DAY_MILLISECONDS, week: 7 * DAY_MILLISECONDS },
};
/** Comes again without being told "every". */
const PLURAL = new RegExp(`^(?:on )?(?:daily|weekdays|weekends|${DAYS.join("s|")}s)\\b`, "i");
const ORDINALS = ["first", "second", "third", "fourth"];
const EXAMPLES =
  'Write it like "every tuesday at 9:00", "every weekday at 17:30", "every month on the last day at 18:00", "0 9 * * 2", "tomorrow at 9", "in 20 minutes" or "2026-12-24 18:00".';

/**
 * Reads when something is to happen, in the words of docs/how-to/add-a-schedule.md or as five cron fields. What
 * could mean two times is refused with both. Throws `when.invalid`, `cron.invalid`, `cron.never` or `cron.zone`.
 */
export function parseWhen(text: string, here: Here): When {
  const given = text.trim().replace(/\s+/g, " ");
  const words = given.toLowerCase().replace(/[.!]$/, "");
  if (/^[\d*][\d*,/-]* [\d*][\d*,/-]* \S+ \S+ \S+$/.test(given)) return recurring(given, given, here);
  const cron = readCron(words.replace(/^(?:every|each) /, ""), /^(?:every|each) /.test(words));
  if (cron) return recurring(cron, given, here);
  return moment(words, given, here);
}

function recurring(cron: string, given: string, { zone, now }: Here): When {
  if (nextTime(cron, zone, now)) return { cron };
  const message = `"${given}" names no time that ever comes.`;
  throw new DaimonError("cron.never", message, "See whether its day and its month go together.");
}

/** Cron of what comes after `every`; null when it is none. */
function readCron(words: string, every: boolean): string | null {
  const span = /^(?:(\d+) )?(minute|hour)s?$/.exec(words);
  if (span && every) return spanCron(Number(span[1] ?? 1), span[2]!);
  if (words === "hourly") return spanCron(1, "hour");
  if (!every && !PLURAL.test(words)) return null;
  const { day, time } = splitTime(words);
  const when = dayCron(day.replace(/,$/, "").replace(/^on /, ""));
  if (!when) throw invalid(`"${every ? "every " : ""}${words}" is not understood.`);
  if (!time) throw invalid(`At what time ${every ? "every " : ""}${day}?`);
  return `${time.minute} ${time.hour} ${when}`;
}

function spanCron(count: number, unit: string): string {
  const whole = unit === "minute" ? 60 : 24;
  if (count < 1 || whole % count !== 0) {
    throw invalid(`Every ${count} ${unit}s does not divide ${unit === "minute" ? "an hour" : "a day"} evenly.`);
  }
  const step = count === 1 ? "*" : `*/${count}`;
  return unit === "minute" ? `${count === 60 ? "0" : step} * * * *` : `0 ${count === 24 ? "0" : step} * * *`;
}

/** The last three fields of cron for a day, a list of weekdays, a day of each month or of each year. */
function dayCron(day: string): string | null {
  if (/^(?:day|daily)$/.test(day)) return "* * *";
  if (/^weekdays?$/.test(day)) return "* * 1-5";
  if (/^weekends?$/.test(day)) return "* * 0,6";
  const names = day.split(/, and |, | and /).map(weekday);
  if (names.every((name) => name !== null)) return `* * ${names.join(",")}`;
  const [first, last] = day.split(/ ?- ?| to /).map(weekday);
  if (typeof first === "number" && typeof last === "number") {
    const days = Array.from({ length: ((last - first + 7) % 7) + 1 }, (_, place) => (first + place) % 7);
    return `* * ${days.join(",")}`;
  }
  const monthly =
    /^month on the (.+)$/.exec(day) ??
    /^(.+?) of (?:the|every|each) month$/.exec(day) ??
    /^(last day|first .+|last .+)$/.exec(day);
  if (monthly) return monthCron(monthly[1]!);
  const date = readDate(day.replace(/^year on /, ""));
  return date && date.year === null ? `${date.day} ${date.month} *` : null;
}

function monthCron(day: string): string | null {
  if (day === "last day") return "L * *";
  const [, number] = /^(\d{1,2})(?:st|nd|rd|th)?$/.exec(day) ?? [];
  if (number) return `${Number(number)} * *`;
  const [, ordinal = "", name = ""] = /^(\w+) (\w+)$/.exec(day) ?? [];
  const place = ORDINALS.indexOf(ordinal) + 1;
  const number7 = weekday(name);
  if (number7 === null || (place === 0 && ordinal !== "last")) return null;
  return `* * ${number7}${ordinal === "last" ? "L" : `#${place}`}`;
}

function weekday(word: string): number | null {
  const found = DAYS.findIndex((day) => word.length > 2 && `${day.toLowerCase()}s`.startsWith(word));
  return found < 0 ? null : found;
}

/** `24 december`, `december 24`, with a year or without. */
function readDate(words: string): { day: number; month: number; year: number | null } | null {
  const [, one, two, year] =
    /^(\w+) (\w+)(?:,? (\d{4}))?$/.exec(words.replace(/(\d)(?:st|nd|rd|th)?(?: of)?\b/, "$1")) ?? [];
  const [day, name] = /^\d{1,2}$/.test(one ?? "") ? [one, two] : [two, one];
  const month = MONTHS.findIndex((each) => name && name.length > 2 && each.toLowerCase().startsWith(name)) + 1;
  if (!day || !/^\d{1,2}$/.test(day) || month === 0) return null;
  return { day: Number(day), month, year: year ? Number(year) : null };
}

function splitTime(words: string): { day: string; time: TimeOfDay | null } {
  const [, day, time] = new RegExp(`^(?:(.+?),? )?(?:at )?(${TIME})$`).exec(words) ?? [];
  return time ? { day: day === "at" ? "" : (day ?? ""), time: readTime(time) } : { day: words, time: null };
}

/** `9` is 9:00; 24 hours, unless `am` or `pm` stands there. */
function readTime(words: string): TimeOfDay {
  if (words === "noon") return { hour: 12, minute: 0 };
  if (words === "midnight") return { hour: 0, minute: 0 };
  const [, digits = "", minutes = "0", half] = /^(\d+)(?:[:.](\d+))? ?(am|pm)?$/.exec(words)!;
  const number = Number(digits);
  const hour = half ? (number % 12) + (half === "pm" ? 12 : 0) : number;
  const minute = Number(minutes);
  if (hour > 23 || minute > 59 || (half && (number < 1 || number > 12))) throw invalid(`"${words}" is no time of day.`);
  return { hour, minute };
}

/** One moment: after a span, or a time of a day. */
function moment(words: string, given: string, here: Here): When {
  if (/^in /.test(words)) return afterSpan(words.slice(3), given, here);
  const exact = /^\d{4}-\d{2}-\d{2}t\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:z|[+-]\d{2}:?\d{2})$/.test(words);
  // Date would make 2 March of 30 February.
  if (exact && readCalendar(words.slice(0, 10), given, here.now))
    return future({ at: new Date(words.toUpperCase()), note: null }, given, here);
  const { day, time } = splitTime(words.replace(/^(\d{4}-\d{2}-\d{2})t/, "$1 "));
  const date = readDay(day.replace(/^on /, ""), time, given, here);
  if (!date) throw invalid(`"${given}" is not understood.`);
  if (!time) throw invalid(`"${given}": at what time?`);
  return future(onWall(new Date(+date + (time.hour * 60 + time.minute) * MINUTE), here.zone), given, here);
}

function future(when: { at: Date; note: string | null }, given: string, { zone, now }: Here): When {
  if (!(when.at.getTime() < Date.UTC(10_000))) throw invalid(`"${given}" is no time.`);
  if (when.at > now) return when;
  const wall = toWall(zone, when.at);
  throw invalid(`"${given}" is over: it was ${dateWords(wall)}, ${clockWords(wall)}.`);
}

/** Minutes and hours are of real time; days and weeks keep the time of day. */
function afterSpan(words: string, given: string, { zone, now }: Here): When {
  const parts = [
    ...words.matchAll(/(\d+(?:\.\d+)?|an?|one|half an?) ?(minute|min|hour|day|week|m|h|d)s?(?![a-z])(?:,? and |,? )?/g),
  ];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== words)
    throw invalid(`"${given}" is not understood.`);
  const sum = { real: 0, days: 0 };
  for (const [, number = "", unit = ""] of parts) {
    const span = (NUMBERS[number.split(" ")[0]!] ?? Number(number)) * UNITS[unit]!;
    sum[UNITS[unit]! < DAY_MILLISECONDS ? "real" : "days"] += span;
  }
  const span = future({ at: new Date(+now + sum.days + sum.real), note: null }, given, { zone, now });
  if (sum.days === 0) return span;
  const { at, note } = onWall(new Date(+toWall(zone, now) + sum.days), zone);
  return { at: new Date(+at + sum.real), note };
}

/** Midnight of a day, as clocks in the zone show it; null when it is none. */
function readDay(words: string, time: TimeOfDay | null, given: string, here: Here): Date | null {
  const wall = toWall(here.zone, here.now);
  const today = new Date(Math.floor(+wall / DAY_MILLISECONDS) * DAY_MILLISECONDS);
  const later = (days: number) => new Date(+today + days * DAY_MILLISECONDS);
  const shown = time ? clockWords(new Date((time.hour * 60 + time.minute) * MINUTE)) : "9:00";
  const iso = (date: Date) => `"${date.toISOString().slice(0, 10)} ${shown}"`;
  if (words === "today" || (words === "" && time)) {
    const over = time !== null && +today + (time.hour * 60 + time.minute) * MINUTE <= +wall;
    if (over) throw invalid(`It is past ${shown} today.`, `Write "tomorrow at ${shown}", or a date.`);
    return today;
  }
  if (words === "tomorrow") return later(1);
  if (/^(?:the )?day after tomorrow$/.test(words)) return later(2);
  const [, next, name = ""] = /^(next |this )?(\w+)$/.exec(words) ?? [];
  const wanted = weekday(name);
  if (wanted !== null) {
    const ahead = (wanted - today.getUTCDay() + 7) % 7;
    if (ahead > 0 && next !== "next ") return later(ahead);
    const [first, second] = [later(ahead), later(ahead + 7)];
    throw invalid(`"${given}" can be two days.`, `Write ${iso(first)} or ${iso(second)}.`);
  }
  return readCalendar(words, given, today);
}

function readCalendar(words: string, given: string, today: Date): Date | null {
  const [, one, two] = /^(\d{1,2})[./-](\d{1,2})\b/.exec(words) ?? [];
  if (one && two)
    throw invalid(`"${given}" can be two days.`, 'Write the month as a word, or a date like "2026-12-24 18:00".');
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(words) ?? [];
  const date = day ? { year: Number(year), month: Number(month), day: Number(day) } : readDate(words);
  if (!date) return null;
  const make = (year: number) => new Date(Date.UTC(year, date.month - 1, date.day));
  const own = make(date.year ?? today.getUTCFullYear());
  const found = date.year === null && own < today ? make(today.getUTCFullYear() + 1) : own;
  if (found.getUTCMonth() !== date.month - 1 || found.getUTCDate() !== date.day) {
    const name = MONTHS[date.month - 1];
    throw invalid(name ? `There is no ${date.day} ${name} ${found.getUTCFullYear()}.` : `"${given}" names no month.`);
  }
  return found;
}

/** When clocks show it, and a note when they never do, or do so twice. */
function onWall(wall: Date, zone: string): { at: Date; note: string | null } {
  const found = fromWall(zone, wall);
  if (found.case === "once") return { at: found.at, note: null };
  const day = `${clockWords(wall)} on ${dateWords(wall)}`;
  if (found.case === "twice")
    return { at: found.at, note: `${day} comes twice, because clocks go back: the first is taken.` };
  const change = nextChange(zone, new Date(+wall - 2 * DAY_MILLISECONDS))!;
  const gap = `clocks skip ${clockWords(change.before)} to ${clockWords(change.now)}`;
  return { at: found.at, note: `${day} does not exist, because ${gap}: it is ${clockWords(change.now)}.` };
}

const invalid = (message: string, next = EXAMPLES) => new DaimonError("when.invalid", message, next);
