import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { searchTerms } from "./terms.ts";

export interface SearchRequest {
  readonly query: string;
  readonly under?: string | undefined;
  /** Tokens, bytes / 4. */
  readonly budget: number;
  /** Paths that were written since the last search. */
  readonly touched?: readonly string[];
}

export interface SearchHit {
  readonly path: string;
  readonly lines: string;
  readonly text: string;
  /** What the file is called, where the passage does not say so itself. */
  readonly title?: string;
}

/** A passage that may answer, with the blend of its own score and its file's. */
export interface Candidate {
  readonly path: string;
  readonly title: string;
  readonly first: number;
  readonly last: number;
  readonly start: number;
  readonly finish: number;
  readonly score: number;
}

interface Row {
  readonly file: number;
  readonly score: number;
}

const CHUNK_SHARE = 0.7;
const MOST_CHUNKS = 300;
const MOST_FILES = 100;
/** A term that stands in more than this share of all passages tells nothing. */
const COMMON = 0.3;
const FEWEST_TERMS = 2;

const CHUNKS = (scope: string) => `
  select c.file, f.path, f.title, c.first, c.last, c.start, c.finish, -bm25(chunk_text, 2.0, 1.0, 0.3) as score
  from chunk_text join chunks c on c.id = chunk_text.rowid join files f on f.id = c.file
  where chunk_text match :match ${scope} order by score desc limit ${MOST_CHUNKS}`;
const FILES = (scope: string) => `
  select f.id as file, -bm25(file_text, 2.0, 1.0) as score
  from file_text join files f on f.id = file_text.rowid
  where file_text match :match ${scope} order by score desc limit ${MOST_FILES}`;

/** Passages by falling score: 0.7 of the passage's BM25 and 0.3 of its file's, each by its best. */
export function candidates(database: DatabaseSync, request: SearchRequest): Candidate[] {
  const terms = tellingTerms(database, searchTerms(request.query));
  if (terms.length === 0) return [];
  const under = request.under?.replace(/\/+$/u, "");
  const scope = under ? "and (f.path = :under or (f.path > :under || '/' and f.path < :under || '0'))" : "";
  const values = { match: terms.map((term) => `"${term}"`).join(" OR "), ...(under ? { under } : {}) };
  const chunks = database.prepare(CHUNKS(scope)).all(values) as unknown as (Candidate & Row)[];
  const files = database.prepare(FILES(scope)).all(values) as unknown as Row[];
  const best = chunks[0]?.score || 1;
  const bestFile = files[0]?.score || 1;
  const scores = new Map(files.map(({ file, score }) => [file, score / bestFile]));
  return chunks
    .map((chunk) => {
      const score = (CHUNK_SHARE * chunk.score) / best + (1 - CHUNK_SHARE) * (scores.get(chunk.file) ?? 0);
      return { ...chunk, score };
    })
    .sort((a, b) => b.score - a.score);
}

/** Leaves out terms that stand in too many passages, but keeps the two rarest. */
function tellingTerms(database: DatabaseSync, terms: readonly string[]): string[] {
  const { most } = database.prepare("select count(*) * ? as most from chunks").get(COMMON) as {
    most: number;
  };
  if (terms.length <= FEWEST_TERMS || most < 10) return [...terms];
  const counted = stems(database, terms).map(({ term, stem }) => {
    const row = database.prepare("select doc from chunk_terms where term = ?").get(stem) as
      | { doc: number }
      | undefined;
    return { term, count: row?.doc ?? 0 };
  });
  counted.sort((a, b) => a.count - b.count);
  return counted.filter(({ count }, index) => index < FEWEST_TERMS || count <= most).map(({ term }) => term);
}

/** The stem of each term, by the very tokenizer of the index. */
function stems(database: DatabaseSync, terms: readonly string[]) {
  const add = database.prepare("insert into temp.stem (rowid, word) values (?, ?)");
  terms.forEach((term, index) => {
    add.run(index + 1, term);
  });
  const rows = database.prepare("select doc, term from temp.stems order by doc, offset").all();
  database.exec("delete from temp.stem");
  return (rows as { doc: number; term: string }[]).map(({ doc, term }) => ({
    term: terms[doc - 1]!,
    stem: term,
  }));
}

/** Loads passages until `budget` is spent; what does not fit is passed over. Neighbours become one hit. */
export function pack(root: string, found: readonly Candidate[], budget: number) {
  const texts = new Map<string, string | null>();
  const chosen = new Map<string, Candidate[]>();
  let bytes = 0;
  for (const candidate of found) {
    const { path, title, start, finish } = candidate;
    if (!texts.has(path)) texts.set(path, readNow(root, path));
    const text = texts.get(path)?.slice(start, finish);
    if (!text) continue;
    const header = chosen.has(path) ? 0 : Buffer.byteLength(path + title) + 8;
    const cost = Buffer.byteLength(text) + header;
    if (bytes + cost > budget * 4) {
      if (budget * 4 - bytes < 120) break;
      continue;
    }
    bytes += cost;
    chosen.set(path, [...(chosen.get(path) ?? []), candidate]);
  }
  const hits = [...chosen].flatMap(([path, list]) =>
    merge(list).map((hit) => toHit(path, texts.get(path)!, hit)),
  );
  hits.sort((a, b) => b.score - a.score);
  return { hits: hits.map(({ score: _, ...hit }) => hit), tokens: Math.ceil(bytes / 4) };
}

function merge(list: readonly Candidate[]): Candidate[] {
  const merged: Candidate[] = [];
  for (const next of [...list].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last && last.finish === next.start) {
      const score = Math.max(last.score, next.score);
      merged[merged.length - 1] = { ...last, last: next.last, finish: next.finish, score };
    } else merged.push(next);
  }
  return merged;
}

function toHit(path: string, text: string, { title, first, last, start, finish, score }: Candidate) {
  const passage = text.slice(start, finish).trimEnd();
  return {
    path,
    lines: `${first}-${last}`,
    text: passage,
    ...(passage.includes(title) || path.includes(title) ? {} : { title }),
    score,
  };
}

function readNow(root: string, path: string): string | null {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch {
    return null;
  }
}
