import { inspect } from "node:util";

/** One test that ended, as a line of JSON in the file that `core/test/all.ts` names as the destination. */
export interface TestLine {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly milliseconds: number;
  /** Why it was skipped, or how it failed. */
  readonly text: string;
}

interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly name: string;
    readonly nesting: number;
    readonly skip?: string | boolean;
    readonly todo?: string | boolean;
    readonly details: { readonly type?: string; readonly duration_ms: number; readonly error?: unknown };
  };
}

/** A reporter for node:test (https://nodejs.org/api/test.html#custom-reporters), which must be a default export. */
export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of events) {
    const line = type === "test:pass" || type === "test:fail" ? toLine(type === "test:fail", data) : null;
    if (line) yield `${JSON.stringify(line)}\n`;
  }
}

function toLine(failed: boolean, { name, skip, todo, details }: TestEvent["data"]): TestLine | null {
  const error = details.error as { failureType?: string; cause?: unknown } | undefined;
  // A suite, or a test that only holds others: what is in it is told by itself.
  if (failed ? error?.failureType === "subtestsFailed" : details.type === "suite") return null;
  const milliseconds = details.duration_ms;
  // What is still to be done is no failure and no success.
  const why = skip ?? todo;
  if (why !== undefined && why !== false)
    return { name, outcome: "skipped", milliseconds, text: why === true ? "no reason given" : why };
  if (!failed) return { name, outcome: "passed", milliseconds, text: "" };
  const cause = error?.cause ?? error;
  return { name, outcome: "failed", milliseconds, text: typeof cause === "string" ? cause : inspect(cause) };
}
