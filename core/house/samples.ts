import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { DaimonError } from "../base/errors.ts";
import type { SampleDelivery, SampleRequest } from "../console/options.ts";
import type { RawRequest } from "../define/event.ts";
import type { Webhook } from "../define/webhook.ts";
import type { Sample } from "../registry/registry.ts";
import type { Source } from "../triggers/intake.ts";
import { signatureHeaders } from "../triggers/verify.ts";

/**
 * Signs recorded payloads as their sender would and posts them through the real door at `url`.
 * Throws `source.missing`, `sample.missing` or `secret.missing`.
 */
export async function sendSamples(
  request: SampleRequest,
  options: { sources: ReadonlyMap<string, Source>; samples: readonly Sample[]; url: string; now: () => Date },
): Promise<SampleDelivery[]> {
  const source = options.sources.get(request.source);
  if (!source) {
    const known = [...options.sources.keys()].join(", ");
    throw new DaimonError(
      "source.missing",
      `There is no source "${request.source}".`,
      `There are: ${known || "none"}.`,
    );
  }
  const sample = findSample(options.samples, request);
  const recorded = sample ? JSON.parse(await readFile(sample.file, "utf8")) : {};
  const body = Buffer.from(JSON.stringify({ ...recorded, ...request.data }));
  const deliveries: SampleDelivery[] = [];
  const times = request.times ?? (request.duplicate ? 2 : 1);
  let key: string = randomUUID();
  for (let time = 0; time < times; time++) {
    if (time > 0 && !request.duplicate) key = randomUUID();
    const headers = toHeaders(source, {
      type: sample?.type ?? request.type ?? "test",
      key,
      body,
      now: options.now(),
    });
    if (request.badSignature) spoil(headers, source.webhook);
    const response = await fetch(`${options.url}/hooks/${source.webhook.source}`, {
      method: "POST",
      headers,
      body,
    });
    deliveries.push({ status: response.status, body: await response.json(), key });
  }
  return deliveries;
}

function findSample(samples: readonly Sample[], request: SampleRequest): Sample | undefined {
  const own = samples.filter((sample) => sample.source === request.source);
  if (!request.type) return own[0];
  const found =
    own.find((sample) => sample.type === request.type) ??
    own.find((sample) => sample.type.startsWith(`${request.type}.`));
  if (found || request.data) return found;
  const known = own.map((sample) => sample.type).join(", ");
  throw new DaimonError(
    "sample.missing",
    `${request.source} has no recorded "${request.type}".`,
    known ? `There are: ${known}. Or give --data.` : "Give --data.",
  );
}

function toHeaders(
  source: Source,
  delivery: { type: string; key: string; body: Uint8Array; now: Date },
): Record<string, string> {
  const { webhook } = source;
  const headers: Record<string, string> = { "content-type": "application/json", "user-agent": "daimon-send" };
  const parts = delivery.type.split(".");
  for (const [place, pick] of webhook.type.entries()) {
    if ("header" in pick) headers[pick.header.toLowerCase()] = parts[place] ?? "";
  }
  if (webhook.key && "header" in webhook.key) headers[webhook.key.header.toLowerCase()] = delivery.key;
  const [secret] = source.secrets();
  if (!secret)
    throw new DaimonError(
      "secret.missing",
      `The secret ${webhook.verify.secret} is not set.`,
      `Write ${webhook.verify.secret}=… into home/.env, and restart.`,
    );
  const request: RawRequest = {
    method: "POST",
    url: `/hooks/${webhook.source}`,
    headers,
    body: delivery.body,
  };
  const signed = signatureHeaders(request, webhook.verify, secret, delivery.now);
  return {
    ...headers,
    ...Object.fromEntries(Object.entries(signed).map(([name, value]) => [name.toLowerCase(), value])),
  };
}

/** Changes the last character of the signature. */
function spoil(headers: Record<string, string>, webhook: Webhook): void {
  const name = webhook.verify.header.toLowerCase();
  const value = headers[name]!;
  headers[name] = value.slice(0, -1) + (value.endsWith("0") ? "1" : "0");
}
