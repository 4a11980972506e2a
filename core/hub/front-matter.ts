import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { type Label, OWNER } from "../define/label.ts";

const BLOCK = /^\uFEFF?---[ \t]*\r?\n(?:([\s\S]*?)\r?\n)?(?:---|\.\.\.)[ \t]*(?:\r?\n|$)/u;

/** A Markdown file in its two parts; `matter` is null when it has no front matter. */
export function splitNote(text: string): { matter: string | null; body: string } {
  const block = BLOCK.exec(text);
  if (!block) return { matter: null, body: text.replace(/^\uFEFF/u, "") };
  return { matter: block[1] ?? "", body: text.slice(block[0].length) };
}

/**
 * The label a note carries in its front matter: `trust: untrusted` and `privacy: secret`. Nothing there makes a
 * note less private than the hub is, since a run could write such a line itself.
 */
export function noteLabel(text: string): Label {
  const { matter } = splitNote(text);
  if (matter === null || !/trust|privacy|\\/iu.test(matter)) return OWNER;
  // As it stands and as YAML reads it.
  const said = `${matter}\n${asJson(matter)}`;
  const says = (key: string, value: string) =>
    new RegExp(`\\b${key}["']?\\s*:\\s*["'[\\s]*${value}\\b`, "iu").test(said);
  return {
    integrity: says("trust", "untrusted") ? "untrusted" : "trusted",
    privacy: says("privacy", "secret") ? "secret" : "private",
  };
}

function asJson(matter: string): string {
  try {
    return JSON.stringify(readMatter(matter));
  } catch {
    return "";
  }
}

/** The label of a file: what is not Markdown is the owner's, since no stranger's text is written there. */
export function labelOfFile(absolute: string): Label {
  return /\.md$/iu.test(absolute) ? noteLabel(readFileSync(absolute, "utf8")) : OWNER;
}

/** The note with `label` joined into its front matter; unchanged when it says as much already. */
export function markNote(text: string, label: Label): string {
  const now = noteLabel(text);
  const lines: string[] = [];
  if (label.integrity === "untrusted" && now.integrity !== "untrusted") lines.push("trust: untrusted");
  if (label.privacy === "secret" && now.privacy !== "secret") lines.push("privacy: secret");
  if (lines.length === 0) return text;
  const { matter, body } = splitNote(text);
  const keys = new RegExp(`^["']?(${lines.map((line) => line.split(":")[0]).join("|")})["']?[ \\t]*:`, "iu");
  const kept = (matter ?? "").split(/\r?\n/u).filter((line) => line !== "" && !keys.test(line));
  return `---\n${[...lines, ...kept].join("\n")}\n---\n${matter === null ? "\n" : ""}${body}`;
}

/** The front matter's values. Lenient: an unquoted `:` is mended. Throws what `yaml` says of it as it stands. */
export function readMatter(matter: string): unknown {
  const options = { prettyErrors: false, logLevel: "error", maxAliasCount: 20 } as const;
  try {
    return parse(matter, options);
  } catch (error) {
    const mended = matter.replace(/^([\w-]+):[ \t]+([^"'[{|>\n][^\n]*:[^\n]*)$/gmu, (_, key, value) => {
      return `${key}: ${JSON.stringify(value.trim())}`;
    });
    try {
      return parse(mended, options);
    } catch {
      throw error;
    }
  }
}
