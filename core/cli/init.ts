import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeHome, readEnvironment } from "../base/environment.ts";
import { isZone } from "../base/zones.ts";
import { CONFIG_FILE } from "../registry/config.ts";
import { usage } from "./exit.ts";
import { say } from "./terminal.ts";

interface Owner {
  readonly name?: string | undefined;
  readonly zone?: string | undefined;
}

/** Asks who the owner is and for a model key; keeps the first in `daimon.config.ts`, the key in `<home>/.env` (0600). */
export async function init({ keyFromStdin, ...given }: Owner & { keyFromStdin?: boolean }) {
  const { home } = readEnvironment();
  const asks = process.stdin.isTTY && !keyFromStdin;
  if (!asks && !keyFromStdin && !given.name && !given.zone) {
    const next = "daimon init --name Ada --zone Europe/Amsterdam --key-from-stdin <key.txt";
    throw usage("Nothing to set, and no terminal to ask on.", next);
  }
  const { key, ...owner } = asks ? await askAll(given, home) : { ...given, key: keyFromStdin && readKey() };
  if (owner.zone && !isZone(owner.zone)) throw usage(`"${owner.zone}" is not an IANA time zone.`, ZONE_HINT);
  makeHome(home);
  if (owner.name || owner.zone) writeOwner(owner);
  if (key) writeKey(join(home, ".env"), key.trim());
  else say("No key was given: the demo answers until a model has one.");
  say(`What Daimon knows will stand in ${join(home, "hub")}: Markdown in git, yours.\nNext: npm start`);
}

const ZONE_HINT = 'Write it like "Europe/Amsterdam".';

function readKey(): string {
  const key = readFileSync(0, "utf8");
  if (!key.trim()) throw usage("No key came on stdin.");
  return key;
}

async function askAll(given: Owner, home: string) {
  const { group, intro, outro, note, password, text } = await import("@clack/prompts");
  intro("Daimon");
  note(".env  your keys; only you can read it\nhub/  what Daimon knows: Markdown in git", home);
  const initialValue = given.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const validate = (value = "") => (isZone(value) ? undefined : ZONE_HINT);
  const message = "A key of Anthropic or OpenAI? Empty: the demo, without a model.";
  const answers = await group(
    {
      name: () => text({ message: "What shall Daimon call you?", initialValue: given.name ?? "" }),
      zone: () => text({ message: "Your time zone?", initialValue, validate }),
      key: () => password({ message }),
    },
    {
      onCancel: () => {
        throw usage("Nothing was changed.");
      },
    },
  );
  outro("Kept.");
  return answers;
}

/** Sets `owner: { … }` where it stands in one line, as it ships; else says what to write. */
function writeOwner(owner: Owner): void {
  const text = readFileSync(CONFIG_FILE, "utf8");
  const found = /^ {2}owner: \{[^{}\n]*\},$/m.exec(text)?.[0];
  const before = (field: string) => new RegExp(`${field}: ("(?:[^"\\\\]|\\\\.)*")`).exec(found ?? "")?.[1];
  const fields = (["name", "zone"] as const).flatMap((field) => {
    const value = owner[field] ? JSON.stringify(owner[field]) : before(field);
    return value ? [`${field}: ${value}`] : [];
  });
  const written = `  owner: { ${fields.join(", ")} },`;
  const changed = text.replace(found ?? /$/, () => written);
  if (found) writeFileSync(CONFIG_FILE, changed);
  say(`${found ? "Wrote into" : "Write into"} daimon.config.ts:${written.slice(1)}`);
}

/** Sets the key's line and leaves the others as they are. */
function writeKey(file: string, key: string): void {
  if (/\s/.test(key)) throw usage("A key has no spaces in it.");
  const name = key.startsWith("sk-ant-") ? "ANTHROPIC_API_KEY" : "OPENAI_API_KEY";
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const others = text.replace(new RegExp(`^${name}=.*(\n|$)`, "gm"), "").replace(/([^\n])$/, "$1\n");
  writeFileSync(file, `${others}${name}=${key}\n`, { mode: 0o600 });
  chmodSync(file, 0o600);
  say(`Wrote ${name} into ${file}.`);
  if (name.startsWith("OPENAI")) say('In daimon.config.ts, give the roles provider: "openai" and a model of it.');
}
