import { fstatSync } from "node:fs";
import type { Conversation, Failure, Page, RunDetail } from "../console/web/api.ts";
import { call, stream } from "./connection.ts";
import { CliError, EXIT, usage } from "./exit.ts";
import { ownerZone, type ReadOptions, sayWhenStopped } from "./read.ts";
import { waitsFor } from "./runs.ts";
import { clean, line, paint, print, printJson, promptLine, say } from "./terminal.ts";

/** What the API is asked. */
interface Question {
  readonly text: string;
  readonly agent?: string;
  readonly conversation?: string;
}

interface Done {
  readonly text: string;
  readonly runId: string;
  readonly usd: number;
  readonly demo: boolean;
  readonly end: string;
  readonly conversation: string;
  /** Why there is no answer but a sentence that says so. */
  readonly error?: Failure;
}

/** Asks once, or talks line by line on a terminal. Exit 5 without an answer; throws `chat.canceled` (130). */
export async function chat(words: string[], { json, ...options }: ReadOptions & Omit<Question, "text">) {
  const text = [words.join(" "), await pipedText(words.length > 0)].filter(Boolean).join("\n\n");
  const base = options.conversation === "latest" ? { ...options, ...(await latest()) } : options;
  if (!text && process.stdin.isTTY && !json) return talk(base);
  if (!text) throw usage("Nothing is asked.", 'daimon chat "hi"');
  const done = await untilInterrupt((signal) => ask({ ...base, text }, { live: !json, signal }));
  const { text: answer, runId, usd, demo, error } = done;
  const end = done.end === "answered" ? {} : { end: done.end };
  if (json) printJson({ text: answer, runId, usd: Number(usd.toFixed(9)), demo, ...end, ...(error ? { error } : {}) });
  else if (!error) sayEnd(done);
  if (error) throw new CliError(EXIT.run, error.code, "The model gave no answer.", `daimon runs show ${runId}`);
}

async function latest(): Promise<{ conversation: string }> {
  const { items } = await call<Page<Conversation>>("GET", "/api/conversations?limit=200");
  const found = items.find((conversation) => conversation.channel === "cli");
  if (found) return { conversation: found.id };
  throw new CliError(EXIT.missing, "cli.none", "There is no conversation yet.", 'daimon chat "hi"');
}

/**
 * What is piped in. A pipe or a file is read to its end; any other open stdin (a socket of whoever started us)
 * counts only when something comes within a second, so that a message never waits for an input nobody writes.
 */
async function pipedText(haveMessage: boolean): Promise<string> {
  const { stdin } = process;
  if (stdin.isTTY) return "";
  const kind = fstatSync(0);
  if (kind.isCharacterDevice()) return "";
  const patient = !haveMessage || kind.isFIFO() || kind.isFile();
  const hint = "Reading stdin to its end (</dev/null when there is none).";
  const timer = setTimeout(() => (patient ? say(hint) : stdin.destroy()), patient ? 2000 : 1000);
  let text = "";
  try {
    for await (const chunk of stdin.setEncoding("utf8")) {
      clearTimeout(timer);
      text += chunk;
    }
  } catch (error) {
    if (!stdin.destroyed || text) throw error;
  } finally {
    clearTimeout(timer);
  }
  return text.trim();
}

/** Runs `work` with a signal that Ctrl-C aborts; a second Ctrl-C ends the process at once. */
async function untilInterrupt<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const controller = new AbortController();
  const interrupt = () => (controller.signal.aborted ? process.exit(EXIT.interrupted) : controller.abort());
  const others = process.listeners("SIGINT");
  process.removeAllListeners("SIGINT").on("SIGINT", interrupt);
  try {
    return await work(controller.signal);
  } finally {
    process.off("SIGINT", interrupt);
    for (const other of others) process.on("SIGINT", other);
  }
}

/** Asks and waits for the answer, written to stdout as it comes when `live`. When `signal` aborts, the run is canceled. */
async function ask(body: Question, { live, signal }: { live: boolean; signal: AbortSignal }): Promise<Done> {
  const written = answerWriter(live);
  let run: { runId: string; conversation: string } | undefined;
  for await (const { event, data } of stream("POST", "/api/chat", { body, signal })) {
    const fields = data as Readonly<Record<string, string>>;
    if (event === "run") run = data as typeof run;
    if (event === "run") void sayWhenStopped();
    if (event === "delta") written.write(fields.text!);
    if (event === "tool" && fields.state !== "started") {
      written.aside(`${fields.state === "failed" ? "✗" : "✓"} ${line(fields.name!)}`);
    }
    if (event === "approval") written.aside(`asks: ${line(fields.title!)}\nNext: daimon approvals show ${fields.id}`);
    if (event === "waiting") {
      const run = data as Pick<RunDetail, "waiting" | "wakeAt">;
      const why = run.waiting?.kind === "retry" ? `${line(run.waiting.error.message)} ` : "";
      written.aside(`${why}It waits ${waitsFor(run, await ownerZone())}`);
    }
    if (event === "error") {
      written.endLine();
      throw new CliError(EXIT.run, fields.code!, fields.message!, fields.next);
    }
    if (event === "done") {
      written.end(fields.text!);
      return { ...(data as Done), conversation: run!.conversation };
    }
  }
  written.endLine();
  if (signal.aborted) {
    if (run) await call("DELETE", `/api/runs/${run.runId}`).catch(() => {});
    throw new CliError(EXIT.interrupted, "chat.canceled", "Canceled.");
  }
  const message = `The connection ended before the answer came${run ? "; the run goes on" : ""}.`;
  throw new CliError(EXIT.failed, "chat.interrupted", message, run && `daimon runs watch ${run.runId}`);
}

/** Writes an answer to stdout piece by piece, and what stands beside it to stderr, each on lines of its own. */
function answerWriter(live: boolean) {
  let written = "";
  const write = (text: string) => {
    if (live) process.stdout.write(clean(text));
    written += clean(text);
  };
  const endLine = () => {
    if (written && !written.endsWith("\n")) write("\n");
  };
  return {
    write,
    endLine,
    aside(words: string) {
      endLine();
      if (live) say(paint("dim", words, process.stderr));
    },
    /** The whole answer is the truth: what was not streamed, or was cut by a crash in between, is written now. */
    end(whole: string) {
      const text = clean(whole).trimEnd();
      if (text.startsWith(written)) write(text.slice(written.length));
      else if (!written.trimEnd().endsWith(text)) {
        endLine();
        write(text);
      }
      endLine();
    },
  };
}

function sayEnd({ demo, end, runId }: Done): void {
  if (demo) say(paint("yellow", "demo, no model", process.stderr));
  if (end !== "answered") say(`It ended at its limit of ${line(end)}: daimon runs show ${runId}`);
}

/** Question and answer on the terminal, in one conversation, until Ctrl-D, or Ctrl-C at the prompt. */
async function talk(base: Omit<Question, "text">): Promise<void> {
  say("Ctrl-C cancels an answer, Ctrl-D ends.");
  for (let options = base; ; ) {
    const text = await promptLine("› ");
    if (text === null) return print("");
    if (!text.trim()) continue;
    try {
      const done = await untilInterrupt((signal) => ask({ ...options, text }, { live: true, signal }));
      options = { ...options, conversation: done.conversation };
      sayEnd(done);
    } catch (error) {
      if (!(error instanceof CliError) || error.exit === EXIT.login) throw error;
      say([clean(error.message), error.next].filter(Boolean).join(" "));
    }
  }
}
