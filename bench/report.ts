import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { mean } from "./figures.ts";

/** A table as it is printed and kept. Figures are told again as numbers in `Section.data`. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What a reader must know to read it rightly. */
  readonly notes?: readonly string[];
}

export interface Section {
  readonly name: string;
  readonly title: string;
  readonly tables: readonly Table[];
  /** The figures as numbers, every round. */
  readonly data: unknown;
  readonly seconds: number;
  /** The share of the processors' time that other guests of the host had, 0 to 1. Null: the machine does not tell. */
  readonly stolen: number | null;
}

/** What was measured on. No names and no paths: only what the figures depend on. */
export interface Machine {
  readonly platform: string;
  readonly cores: number;
  readonly processor: string;
  readonly memoryGb: number;
  readonly node: string;
  readonly postgres: string;
  readonly pgbench: string | null;
}

export function describeMachine(postgres: string, pgbench: string | null): Machine {
  return {
    platform: `${process.platform}-${process.arch}`,
    cores: cpus().length,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    postgres,
    pgbench,
  };
}

function renderTable(table: Table): string {
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = table.columns.map((_, place) => (place === 0 ? "---" : "---:"));
  const notes = table.notes?.length ? `\n\n${table.notes.join(" ")}` : "";
  return `**${table.title}**\n\n${[row(table.columns), row(rule), ...table.rows.map(row)].join("\n")}${notes}\n`;
}

export function renderSection(section: Section): string {
  return `## ${section.title}\n\n${section.tables.map(renderTable).join("\n")}`;
}

/** Writes `bench/results/<date>-<machine kind>.json` and `.md`; returns their common name. */
export function keepResults(
  folder: string,
  results: { what: string; machine: Machine; load: string; sections: readonly Section[] },
): string {
  const { what, machine, load, sections } = results;
  const date = new Date().toISOString().slice(0, 10);
  const measuredOn = describe(results);
  const name = [date, machine.platform, `${machine.cores}cores`, what].filter(Boolean).join("-");
  const head = [`# Bench ${what} ${date}`.replace("  ", " "), "", measuredOn, ""];
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, `${name}.md`),
    `${head.join("\n")}\n${sections.map(renderSection).join("\n")}`.trimEnd().concat("\n"),
  );
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify({ date, machine, load, sections }, null, 1)}\n`);
  return name;
}

function describe(results: { machine: Machine; load: string; sections: readonly Section[] }): string {
  const { machine, load, sections } = results;
  const minutes = sections.reduce((sum, section) => sum + section.seconds, 0) / 60;
  const stolen = sections.map((section) => section.stolen).filter((share) => share !== null);
  return (
    `${machine.processor}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.platform}; Node ${machine.node}; ` +
    `embedded Postgres ${machine.postgres} with its default settings (fsync on); ` +
    `${machine.pgbench ? `pgbench ${machine.pgbench}` : "no pgbench"}; load average at the start ${load}; ` +
    `${stolen.length > 0 ? `${Math.round(mean(stolen) * 100)} % of its processors' time taken by other guests of its host; ` : ""}` +
    `${minutes.toFixed(1)} minutes.`
  );
}

/** Puts the tables of these sections in their places on a page: between `<!-- bench:accept -->` and `<!-- /bench -->`. */
export function putIntoPage(
  page: string,
  results: { machine: Machine; load: string; sections: readonly Section[]; name: string },
): void {
  if (!existsSync(page)) return;
  const date = results.name.slice(0, 10);
  const text = results.sections.reduce(
    (page, section) => {
      const place = new RegExp(`(<!-- bench:${section.name} -->\n)[\\s\\S]*?(<!-- /bench -->)`);
      const one = { ...results, sections: [section] };
      const body = `${section.tables.map(renderTable).join("\n")}\nMeasured ${date}: ${describe(one)}\n`;
      return page.replace(place, (_, begin, end) => `${begin}\n${body}\n${end}`);
    },
    readFileSync(page, "utf8"),
  );
  writeFileSync(page, text);
}
