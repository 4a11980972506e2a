import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type { HubHit } from "../define/context.ts";
import { searchTerms } from "./terms.ts";

export interface SearchRequest {
  readonly query: string;
  readonly under?: string | undefined;
  /** Tokens, bytes / 4. */
  readonly budget: number;
  /** Paths that were written since the last search. */
  readonly touched?: readonly string[];
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

/** How the index, and a question, is cut into terms: English stems, accents folded. */
export const TOKENIZER = "porter unicode61 remove_diacritics 2";

const CHUNK_SHARE = 0.7;
const MOST_CHUNKS = 200;
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
const STEMS = `
  create virtual table if not exists temp.stem using fts5(word, tokenize='${TOKENIZER}');
  create virtual table if not exists temp.stems using fts5vocab(temp, stem, 'instance');`;

/** Ranks the passages of an index. */
export interface Ranker {
  /** Passages by falling score, at most 200. */
  rank(request: SearchRequest): Candidate[];
  /** To be called when the index has changed. */
  forget(): void;
}

/**
 * Scores are 0.7 of the passage's BM25 and 0.3 of its file's, each as a share of the best. A passage is also found,
 * with less weight, by the words around it.
 */
export function createRanker(database: DatabaseSync): Ranker {
  database.exec(STEMS);
  const all = database.prepare(CHUNKS(""));
  const amongRare = database.prepare(CHUNKS(RARE));
  const amongUnder = database.prepare(CHUNKS(UNDER));
  const ofFiles = database.prepare(FILES);
  const total = database.prepare("select coalesce(max(id), 0) as total from chunks");
  const passagesWith = database.prepare("select doc from chunk_terms where term = ?");
  const addWord = database.prepare("insert into temp.stem (rowid, word) values (?, ?)");
  const readStems = database.prepare("select doc, term from temp.stems order by doc, offset");
  const counts = new Map<string, number>();

  /** Each stem of the words once, by the index's own tokenizer, with a word that has it and its passages; rarest first. */
  function count(words: readonly string[]) {
    words.forEach((word, index) => {
      addWord.run(index + 1, word);
    });
    const rows = readStems.all() as { doc: number; term: string }[];
    database.exec("delete from temp.stem");
    const once = new Map(rows.map(({ doc, term }) => [term, words[doc - 1]!]));
    return [...once].map(([stem, word]) => ({ word, count: countOf(stem) })).sort((a, b) => a.count - b.count);
  }

  function countOf(stem: string): number {
    const known = counts.get(stem) ?? (passagesWith.get(stem) as { doc: number } | undefined)?.doc ?? 0;
    counts.set(stem, known);
    return known;
  }

  /** What to score by, without what stands everywhere, and the rarest of it when all would match too much. */
  function choose(words: readonly string[]) {
    const { total: passages } = total.get() as { total: number };
    const terms = count(words).filter((one, index) => index < FEWEST_TERMS || one.count <= passages * COMMON);
    let scored = 0;
    const rare = terms.filter((one) => {
      const wanted = scored < FEWEST_SCORED || scored + one.count <= MOST_SCORED;
      if (wanted) scored += one.count;
      return wanted;
    });
    return { terms: anyOf(terms), rare: rare.length < terms.length ? anyOf(rare) : null };
  }

  return {
    rank({ query, under }) {
      const { terms, rare } = choose(searchTerms(query));
      if (terms === "") return [];
      const ranked = () => (rare ? amongRare.all({ terms, rare }) : all.all({ terms }));
      const chunks = (under ? amongUnder.all({ terms, under }) : ranked()) as unknown as (Candidate & {
        file: number;
      })[];
      const files = JSON.stringify([...new Set(chunks.map(({ file }) => file))]);
      const ofFile = shares(ofFiles.all({ terms, files }) as { file: number; score: number }[]);
      const best = chunks[0]?.score || 1;
      const blend = (own: number, file: number) =>
        (CHUNK_SHARE * own) / best + (1 - CHUNK_SHARE) * (ofFile.get(file) ?? 0);
      return chunks
        .map((chunk) => ({ ...chunk, score: blend(chunk.score, chunk.file) }))
        .sort((a, b) => b.score - a.score);
    },
    forget: () => counts.clear(),
  };
}

const anyOf = (terms: readonly { word: string }[]) => terms.map(({ word }) => `"${word}"`).join(" OR ");

/** Each file's score as a share of the best one's. */
function shares(files: readonly { file: number; score: number }[]): Map<number, number> {
  const best = Math.max(...files.map(({ score }) => score), Number.MIN_VALUE);
  return new Map(files.map(({ file, score }) => [file, score / best]));
}

/** Loads passages until `budget` is spent; what does not fit is passed over. Neighbours become one hit. */
export function pack(root: string, found: readonly Candidate[], budget: number) {
  const files = new Map<string, { text: string; passages: Candidate[]; bytes: number }>();
  let bytes = 0;
  for (const [index, whole] of found.entries()) {
    const { path, start, finish } = whole;
    if (index > 0 && finish - start > budget * 4 - bytes) continue; // before the file is read for nothing
    const file = files.get(path) ?? { text: readNow(root, path), passages: [], bytes: 0 };
    files.set(path, file);
    const candidate = index === 0 ? shorten(whole, file.text, budget * 4) : whole;
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

/** The best passage has its place in the smallest budget too: cut to the lines that fit. */
function shorten(passage: Candidate, text: string, bytes: number): Candidate {
  const { path, title, start, finish, first } = passage;
  const room = bytes - Buffer.byteLength(path + title) - 20;
  if (Buffer.byteLength(text.slice(start, finish)) <= room) return passage;
  const end = start + text.slice(start, start + Math.max(room, 0)).lastIndexOf("\n");
  return { ...passage, finish: Math.max(end, start), last: first + text.slice(start, end).split("\n").length - 1 };
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

/** What is shown; the best passage of a file bears its title where nothing else says it. */
function toHits(passages: readonly Candidate[], text: string): HubHit[] {
  const best = Math.max(...passages.map(({ score }) => score));
  return passages.map(({ path, title, first, last, start, finish, score }) => {
    const passage = text.slice(start, finish).trimEnd();
    const untold = score === best && !path.includes(title) && !passage.includes(title);
    return { path, lines: `${first}-${last}`, text: passage, ...(untold ? { title } : {}) };
  });
}

/** What a hit costs as it is shown: `path:lines`, title and text, with their line ends. */
const bytesOf = ({ path, lines, text, title = "" }: HubHit) =>
  Buffer.byteLength(path) + lines.length + Buffer.byteLength(title) + Buffer.byteLength(text) + 4;

function readNow(root: string, path: string): string {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch {
    return ""; // gone since the last look
  }
}
