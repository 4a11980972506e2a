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

const CHUNK_SHARE = 0.7;
const MOST_CHUNKS = 300;
/** A term that stands in more than this share of all passages tells nothing. */
const COMMON = 0.3;
const FEWEST_TERMS = 2;
/** Passages that are scored: those with the rarest terms, more than the second number only if they are fewer than the first. */
const FEWEST_SCORED = 200;
const MOST_SCORED = 3000;
/** Bytes of the budget that are not worth another passage. */
const LEAST_LEFT = 80;

// Counting which rows match is cheap, scoring one is not: `+rowid in (…)` leaves out rows before they are scored.
const CHUNKS = (only: string) => `
  select c.file, f.path, f.title, c.first, c.last, c.start, c.finish, best.score
  from (select rowid as id, -bm25(chunk_text, 2.0, 1.0, 0.3) as score from chunk_text
        where chunk_text match :terms ${only} order by score desc limit ${MOST_CHUNKS}) best
  join chunks c on c.id = best.id join files f on f.id = c.file order by best.score desc`;
const RARE = "and +rowid in (select rowid from chunk_text where chunk_text match :rare)";
const UNDER = `and +rowid in (select c.id from files f join chunks c on c.file = f.id
  where f.path = :under or (f.path > :under || '/' and f.path < :under || '0'))`;
const FILES = `
  select rowid as file, -bm25(file_text, 2.0, 1.0) as score from file_text
  where file_text match :terms and +rowid in (select value from json_each(:files))`;

/**
 * Passages by falling score: 0.7 of the passage's BM25 and 0.3 of its file's, each as a share of the best. A
 * passage is also found, with less weight, by the words around it.
 */
export function candidates(database: DatabaseSync, request: SearchRequest): Candidate[] {
  const { terms, rare } = tellingTerms(database, searchTerms(request.query));
  if (terms.length === 0) return [];
  const under = request.under;
  const values = { terms: anyOf(terms), ...(under ? { under } : rare ? { rare: anyOf(rare) } : {}) };
  type Row = Candidate & { file: number };
  const statement = database.prepare(CHUNKS(under ? UNDER : rare ? RARE : ""));
  const chunks = statement.all(values) as unknown as Row[];
  const files = JSON.stringify([...new Set(chunks.map(({ file }) => file))]);
  const found = database.prepare(FILES).all({ terms: values.terms, files }) as { file: number; score: number }[];
  const bestFile = Math.max(...found.map(({ score }) => score), Number.MIN_VALUE);
  const ofFile = new Map(found.map(({ file, score }) => [file, score / bestFile]));
  const best = chunks[0]?.score || 1;
  return chunks
    .map((chunk) => {
      const score = (CHUNK_SHARE * chunk.score) / best + (1 - CHUNK_SHARE) * (ofFile.get(chunk.file) ?? 0);
      return { ...chunk, score };
    })
    .sort((a, b) => b.score - a.score);
}

const anyOf = (terms: readonly string[]) => terms.map((term) => `"${term}"`).join(" OR ");

/** The terms to score by, without those that stand everywhere, and the rarest of them when all would match too much. */
function tellingTerms(database: DatabaseSync, terms: readonly string[]): { terms: string[]; rare?: string[] } {
  const { total } = database.prepare("select coalesce(max(id), 0) as total from chunks").get() as { total: number };
  if (total < FEWEST_SCORED) return { terms: [...terms] };
  const count = database.prepare("select doc from chunk_terms where term = ?");
  const counted = stems(database, terms)
    .map(({ term, stem }) => ({ term, count: (count.get(stem) as { doc: number } | undefined)?.doc ?? 0 }))
    .sort((a, b) => a.count - b.count)
    .filter((one, index) => index < FEWEST_TERMS || one.count <= total * COMMON);
  let scored = 0;
  const rare = counted.filter((one) => {
    const wanted = scored < FEWEST_SCORED || scored + one.count <= MOST_SCORED;
    if (wanted) scored += one.count;
    return wanted;
  });
  const names = (list: readonly { term: string }[]) => list.map(({ term }) => term);
  return { terms: names(counted), ...(rare.length < counted.length ? { rare: names(rare) } : {}) };
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
  const files = new Map<string, { text: string; passages: Candidate[]; bytes: number }>();
  let bytes = 0;
  for (const candidate of found) {
    const { path } = candidate;
    const file = files.get(path) ?? { text: readNow(root, path), passages: [], bytes: 0 };
    files.set(path, file);
    const passages = merge([...file.passages, candidate], file.text);
    const cost = toHits(passages, file.text).reduce((sum, hit) => sum + bytesOf(hit), 0);
    if (bytes + cost - file.bytes > budget * 4) continue;
    bytes += cost - file.bytes;
    files.set(path, { text: file.text, passages, bytes: cost });
    if (budget * 4 - bytes < LEAST_LEFT) break;
  }
  const scored = [...files.values()].flatMap(({ text, passages }) => {
    const hits = toHits(passages, text);
    return passages.map(({ score }, index) => ({ score, hit: hits[index]! }));
  });
  scored.sort((a, b) => b.score - a.score);
  return { hits: scored.map(({ hit }) => hit), tokens: Math.ceil(bytes / 4) };
}

/** Passages of one file in their order, those with nothing between them made one. */
function merge(list: readonly Candidate[], text: string): Candidate[] {
  const merged: Candidate[] = [];
  for (const next of [...list].sort((a, b) => a.start - b.start)) {
    const before = merged.at(-1);
    if (before && text.slice(before.finish, next.start).trim() === "") {
      const score = Math.max(before.score, next.score);
      merged[merged.length - 1] = { ...before, last: next.last, finish: next.finish, score };
    } else merged.push(next);
  }
  return merged;
}

/** What is shown; the first passage of a file bears its title where nothing else says it. */
function toHits(passages: readonly Candidate[], text: string): SearchHit[] {
  return passages.map(({ path, title, first, last, start, finish }, index) => {
    const passage = text.slice(start, finish).trimEnd();
    const untold = index === 0 && !path.includes(title) && !passage.includes(title);
    return { path, lines: `${first}-${last}`, text: passage, ...(untold ? { title } : {}) };
  });
}

/** What a hit costs as it is shown: `path:lines`, title and text, with their line ends. */
const bytesOf = ({ path, lines, text, title = "" }: SearchHit) =>
  Buffer.byteLength(path) + lines.length + Buffer.byteLength(title) + Buffer.byteLength(text) + 4;

function readNow(root: string, path: string): string {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch {
    return ""; // gone since the last look
  }
}
