import type { Context } from "daimon";
import { add, type Past, readPast } from "./history.ts";
import type { Result } from "./result.ts";
import { findStep } from "./step.ts";

/** Tells the owner of a result that is news: a failure, the first success, the success after failures. */
export async function report(context: Context, read: () => Result) {
  const { step, send, event } = context;
  const result = await step.run("read the payload", read);
  const past = await step.run("look what was before", () => readPast(context.hub, result, event.time));
  if (past.known) return { told: false, why: "this result was told before" };
  if (!result.failed && past.state === "green") {
    if (!past.thisMonth) await add(context.hub, result, event.time);
    return { told: false, why: "it was green before" };
  }
  const found = result.failed ? await step.run("find the step", (signal) => findStep(context, result, signal)) : null;
  await add(context.hub, result, event.time);
  await send({ text: sentence(result, past, found) });
  return { told: true, failures: past.failures + Number(result.failed), step: found };
}

type Found = Awaited<ReturnType<typeof findStep>>;

/** `CI on main of octo-org/octo-repo failed: …` */
function sentence(result: Result, past: Pick<Past, "failures">, found: Found): string {
  const { name, failed, commit, reason } = result;
  const link = found?.url ?? result.url;
  const at = link ? `\n${link}` : "";
  const times = past.failures === 1 ? "a failure" : `${past.failures} failures`;
  if (!failed) return `${name} is green${past.failures > 0 ? ` again after ${times}` : ""}.${at}`;
  const again = past.failures > 0 ? ` again (${past.failures + 1} in a row)` : "";
  const why = [found && `step "${found.step}" of "${found.job}"`, reason].filter(Boolean).join(", ");
  return `${name} failed${again}${commit && ` after "${commit}"`}${why && `: ${why}`}.${at}`;
}
