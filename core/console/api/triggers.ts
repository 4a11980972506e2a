import { z } from "zod";
import { readHeld } from "../../store/held.ts";
import type { Api } from "../auth.ts";
import { present, readBody } from "../input.ts";
import type { ConsoleOptions } from "../options.ts";

const KINDS = ["trigger", "source"] as const;

/** Triggers and sources, whether they are paused, and what they hold back; pausing and resuming them. */
export function triggerRoutes(api: Api, options: ConsoleOptions): void {
  api.get("/triggers", async (context) => {
    const { trigger, source } = await readViews(options);
    return context.json({ items: trigger, sources: source, next: null });
  });
  for (const kind of KINDS) {
    api.patch(`/${kind}s/:name`, async (context) => {
      const { paused } = await readBody(context, z.strictObject({ paused: z.boolean() }));
      const name = context.req.param("name");
      const find = async () =>
        present(
          (await readViews(options))[kind].find((one) => one.name === name),
          kind,
          name,
        );
      await find();
      await options.actions.pause(`${kind}:${name}`, paused);
      // One that is not installed any more is forgotten when it is resumed.
      return context.json(await find().catch(() => ({ name, paused })));
    });
  }
}

async function readViews(options: ConsoleOptions) {
  const { pauses, waiting } = await readHeld(options.database);
  const { installed } = options.capabilities();
  const toState = (kind: (typeof KINDS)[number], name: string, installed = true) => {
    const whole = `${kind}:${name}`;
    const held = waiting.filter((one) => whole === (kind === "trigger" ? one.handler : `source:${one.source}`));
    const count = (by: string) => held.reduce((sum, one) => sum + (one.kind === by ? one.count : 0), 0);
    const pause = pauses.find((one) => one.name === whole);
    return {
      ...{ name, installed, paused: pause !== undefined, pausedAt: pause?.since ?? null },
      waiting: { paused: count("paused"), rate: count("rate"), debounce: count("debounce") },
    };
  };
  const triggers = installed.flatMap(({ capability }) =>
    (capability.triggers ?? []).map(({ run: _, retry: __, limits: ___, name, ...trigger }) => ({
      ...toState("trigger", `${capability.name}/${name}`),
      ...trigger,
    })),
  );
  const sources = installed.flatMap(({ capability }) =>
    (capability.webhooks ?? []).map((webhook) => toState("source", webhook.source)),
  );
  const gone = (kind: (typeof KINDS)[number], there: readonly { name: string }[]) =>
    pauses
      .filter((one) => one.name.startsWith(`${kind}:`))
      .map((one) => one.name.slice(kind.length + 1))
      .filter((name) => !there.some((one) => one.name === name))
      .map((name) => toState(kind, name, false));
  return {
    trigger: [...triggers, ...gone("trigger", triggers)],
    source: [...sources, ...gone("source", sources)],
  };
}
