import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Capability } from "../define/capability.ts";
import type { DaimonEvent } from "../define/event.ts";
import { toRequest } from "../house/samples.ts";
import { toEvents } from "../triggers/event.ts";

/** The events of a recorded payload of the capability in `folder`, as its triggers get them. */
export async function sampleEvents(
  { capability, folder }: { capability: Capability; folder: string },
  type: string,
  source?: string,
): Promise<DaimonEvent[]> {
  const webhook = capability.webhooks!.find((one) => one.source === (source ?? capability.webhooks![0]!.source))!;
  const file = join(folder, "samples", source ?? "", `${type}.json`);
  const recorded = JSON.parse(await readFile(file, "utf8"));
  const brought = toEvents(webhook, toRequest(webhook, { recorded, data: undefined, type, key: "key" }));
  const given = "events" in brought ? brought.events : [{ ...brought.event, data: brought.parsed }];
  const time = new Date("2026-11-22T16:33:00Z");
  return given.map((event, place) => ({ ...event, id: `evt_${place}`, key: event.key ?? "", time }));
}
