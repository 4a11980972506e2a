import { posix } from "node:path";
import type { Label } from "../define/label.ts";
import type { Effect } from "../define/tool.ts";

/** One tool call that is about to be made, from whatever entry. */
export interface GuardedCall {
  readonly tool: string;
  readonly effect: Effect;
  /** Where data goes; `hub`, `hub:<path>` and `daimon` (starting what is installed) are inside. */
  readonly sink?: string;
  /** The join of all that the run has read. */
  readonly label: Label;
  /** What the owner wrote himself, when it is this that is being answered: places named there are allowed. */
  readonly ownerText?: string;
  /** The tool says that each call needs a person. */
  readonly approval?: boolean;
  /** What becomes of private data on its way outside from an untrusted run. Default: a person is asked. */
  readonly outside?: "ask" | "deny";
}

/** `reason` is a clause that says why, for the person who is asked and for the model. */
export type Verdict = { readonly decision: "allow" } | { readonly decision: "ask" | "deny"; readonly reason: string };

export type Guard = (call: GuardedCall) => Verdict;

const ask = (reason: string): Verdict => ({ decision: "ask", reason });
const deny = (reason: string): Verdict => ({ decision: "deny", reason });

/**
 * Decides every tool call, by nothing but what the tool does, where data goes, and what the run has read;
 * what a model says or was talked into plays no part.
 */
export const guard: Guard = (call) => {
  const { sink = "", effect, label } = call;
  const outside = isOutside(sink);
  const to = sink ? ` (${sink})` : "";
  if (outside && label.privacy === "secret") return deny(`the run has read secrets, and ${sink} is outside`);

  const named = isNamed(sink, call.ownerText ?? "");
  const untrusted = label.integrity === "untrusted";
  const leaks = untrusted && outside && label.privacy !== "public" && !named;
  if (leaks && call.outside === "deny") {
    return deny(`the run has read private and outside content, and ${sink} is outside`);
  }
  if (call.approval) return ask(`every call of ${call.tool} is asked${to}`);
  const path = sink.startsWith("hub:") && effect !== "read" && effect !== "none" ? sink.slice(4) : "";
  if (path && isIdentity(path)) return ask(`it changes what agents are told (${path})`);
  if (!untrusted) return { decision: "allow" };

  if (effect === "destroy") return ask(`it destroys something, and the run has read content from outside${to}`);
  if (effect === "spend") return ask(`it spends money, and the run has read content from outside${to}`);
  if (sink === "daimon") return ask("it starts something, and the run has read content from outside");
  if (path && isAbstract(path)) {
    return ask(`it changes the map of the hub (${path}), and the run has read content from outside`);
  }
  if (leaks) return ask(`it may send private data to ${sink}, and the run has read content from outside`);
  if (effect === "send" && !named) return ask(`it sends something, and the run has read content from outside${to}`);
  return { decision: "allow" };
};

/** True for a sink that is not this system itself. No sink is nowhere. */
export function isOutside(sink: string): boolean {
  return sink !== "" && sink !== "daimon" && sink !== "hub" && !sink.startsWith("hub:");
}

/** True for what agents are told in the hub: identity/, skills/, AGENTS.md and the like. Writing there is giving orders. */
export function isIdentity(path: string): boolean {
  const clean = cleanPath(path);
  return /^\/(identity|skills)(\/|$)/.test(clean) || /\/(agents|claude|skill)\.md$/.test(clean);
}

/** True for the one-line abstracts, which stand in every prompt. */
export const isAbstract = (path: string): boolean => cleanPath(path).endsWith("/abstract.md");

const cleanPath = (path: string) =>
  posix
    .normalize(`/${path.replaceAll("\\", "/")}`)
    .normalize("NFKC")
    .toLowerCase();

/**
 * True when every place of the sink stands in the owner's text, letter by letter: an address, a host, or a
 * whole URL. A URL is not named by its host, because its path and query can carry data away.
 */
function isNamed(sink: string, text: string): boolean {
  const places = sink.split(/[\s,;]+/).filter(Boolean);
  if (places.length === 0 || text === "") return false;
  const words = new Set(text.split(/[\s,;<>()[\]"'`]+/).map((word) => place(word.replace(/[.!?:]+$/, ""))));
  return places.every((each) => /[@.#+:/]/.test(each) && words.has(place(each)));
}

/** One spelling of a place: `https://Shop.example` and `shop.example` are one, `mailto:` falls away. */
function place(word: string): string {
  const bare = word.replace(/^mailto:/i, "");
  if (!/^https?:\/\//i.test(bare)) return bare.toLowerCase();
  if (!URL.canParse(bare)) return bare;
  const url = new URL(bare);
  const isHost = url.protocol === "https:" && url.pathname === "/" && !url.search && !url.hash && !url.username;
  return isHost ? url.host : url.href;
}
