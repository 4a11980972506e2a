import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { HubHit } from "../define/context.ts";
import { chunkText, titleOf } from "./chunks.ts";
import { createRanker, pack, type Ranker, type SearchRequest, TOKENIZER } from "./rank.ts";
import { look, type Scanned, scanTexts } from "./scan.ts";

// The one place of SQL outside core/store/: a cache of the hub's files, thrown away and built again at will. Another
// schema takes another file name.
const SCHEMA = `
  pragma journal_mode = wal; pragma synchronous = off; pragma cache_size = -8000;
  begin immediate;
  create table if not exists files (id integer primary key, path text unique, changed real, size integer, title text);
  create table if not exists chunks (id integer primary key, file integer, first integer, last integer, start integer, finish integer);
  create index if not exists chunks_of_file on chunks (file);
  create virtual table if not exists chunk_text using
    fts5(title, body, around, content='', contentless_delete=1, tokenize='${TOKENIZER}');
  create virtual table if not exists file_text using
    fts5(title, body, content='', contentless_delete=1, tokenize='${TOKENIZER}');
  create virtual table if not exists chunk_terms using fts5vocab(chunk_text, 'row');
  commit;`;
const FILES_A_TRANSACTION = 400;
/** How much of its neighbours a passage is found by, in UTF-16 units on each side. */
const AROUND = 200;

/** The index of one hub: passages and whole files, ranked by BM25. All its calls block: it lives in a worker. */
export class SearchIndex {
  readonly #root: string;
  readonly #file: string;
  #database: DatabaseSync;
  #ranker: Ranker;
  #known = new Map<string, Scanned>();
  #seenVersion = -1;
  #scannedAt = Number.NEGATIVE_INFINITY;
  #scanCost = 0;

  constructor(root: string, file: string) {
    this.#root = root;
    this.#file = file;
    this.#database = open(file);
    this.#ranker = createRanker(this.#database);
  }

  /** The passages that answer best. An index that turns out to be damaged is built anew, once. */
  search(request: SearchRequest, again = false): { hits: HubHit[]; tokens: number } {
    try {
      this.#update(request.touched ?? []);
      return pack(this.#root, this.#ranker.rank(request), request.budget);
    } catch (error) {
      if (again || !isDamage(error)) throw error;
      this.close();
      this.#database = openAnew(this.#file);
      this.#ranker = createRanker(this.#database);
      this.#seenVersion = -1;
      this.#scannedAt = Number.NEGATIVE_INFINITY;
      return this.search(request, true);
    }
  }

  close(): void {
    this.#database.close();
  }

  /** Brings the index up to date: what was written here at once, the rest by a scan that costs at most a tenth of the time. */
  #update(touched: readonly string[]): void {
    this.#readKnown();
    const due = performance.now() - this.#scannedAt > this.#scanCost * 10;
    const changed: [string, Scanned | null][] = [];
    if (due) {
      const begun = performance.now();
      const found = scanTexts(this.#root);
      for (const [path, now] of found) {
        if (!same(this.#known.get(path), now)) changed.push([path, now]);
      }
      for (const path of this.#known.keys()) if (!found.has(path)) changed.push([path, null]);
      this.#scanCost = performance.now() - begun;
    } else {
      for (const path of touched) changed.push([path, look(this.#root, path)]);
    }
    for (let at = 0; at < changed.length; at += FILES_A_TRANSACTION) {
      this.#write(changed.slice(at, at + FILES_A_TRANSACTION));
    }
    if (due) this.#scannedAt = performance.now();
  }

  #write(changed: readonly [string, Scanned | null][]): void {
    const database = this.#database;
    database.exec("begin immediate");
    try {
      const statements = prepareWrites(database);
      for (const [path, now] of changed) {
        forget(statements, path);
        if (now) keep(statements, this.#root, path, now);
      }
      database.exec("commit");
    } catch (error) {
      database.exec("rollback");
      throw error;
    }
    this.#ranker.forget();
    for (const [path, now] of changed) {
      if (now) this.#known.set(path, now);
      else this.#known.delete(path);
    }
  }

  /** What the index holds, read again when another process has written it. */
  #readKnown(): void {
    const version = Number(this.#database.prepare("pragma data_version").get()?.data_version);
    if (version === this.#seenVersion) return;
    this.#seenVersion = version;
    this.#ranker.forget();
    const rows = this.#database.prepare("select path, changed, size from files").all() as unknown;
    this.#known = new Map((rows as ({ path: string } & Scanned)[]).map((row) => [row.path, row]));
  }
}

const same = (a: Scanned | undefined, b: Scanned) => a?.changed === b.changed && a.size === b.size;

function open(file: string): DatabaseSync {
  mkdirSync(dirname(file), { recursive: true });
  try {
    return openOnce(file);
  } catch (error) {
    if (!isDamage(error)) throw error;
    return openAnew(file);
  }
}

function openAnew(file: string): DatabaseSync {
  for (const end of ["", "-wal", "-shm"]) rmSync(file + end, { force: true });
  return openOnce(file);
}

function openOnce(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: 10_000 });
  database.exec(SCHEMA);
  return database;
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, https://sqlite.org/rescode.html */
const isDamage = (error: unknown) => [11, 26].includes(((error as { errcode?: number }).errcode ?? 0) & 0xff);

const prepareWrites = (database: DatabaseSync) => ({
  findFile: database.prepare("select id from files where path = ?"),
  findChunks: database.prepare("select id from chunks where file = ?"),
  dropChunkText: database.prepare("delete from chunk_text where rowid = ?"),
  dropChunks: database.prepare("delete from chunks where file = ?"),
  dropFileText: database.prepare("delete from file_text where rowid = ?"),
  dropFile: database.prepare("delete from files where id = ?"),
  addFile: database.prepare("insert into files (path, changed, size, title) values (?, ?, ?, ?)"),
  addFileText: database.prepare("insert into file_text (rowid, title, body) values (?, ?, ?)"),
  addChunk: database.prepare("insert into chunks (file, first, last, start, finish) values (?, ?, ?, ?, ?)"),
  addChunkText: database.prepare("insert into chunk_text (rowid, title, body, around) values (?, ?, ?, ?)"),
});

type Writes = ReturnType<typeof prepareWrites>;

function forget(write: Writes, path: string): void {
  const file = write.findFile.get(path) as { id: number } | undefined;
  if (!file) return;
  for (const { id } of write.findChunks.all(file.id) as { id: number }[]) write.dropChunkText.run(id);
  write.dropChunks.run(file.id);
  write.dropFileText.run(file.id);
  write.dropFile.run(file.id);
}

function keep(write: Writes, root: string, path: string, now: Scanned): void {
  let text: string;
  try {
    text = readFileSync(join(root, path), "utf8");
  } catch {
    return; // gone since the scan
  }
  const title = titleOf(text, path);
  const words = `${title} ${path.replace(/\.\w+$/u, "").replace(/[^\p{L}\p{N}]+/gu, " ")}`;
  const file = write.addFile.run(path, now.changed, now.size, title).lastInsertRowid;
  write.addFileText.run(file, words, text);
  for (const { first, last, start, end, headings } of chunkText(text)) {
    const chunk = write.addChunk.run(file, first, last, start, end).lastInsertRowid;
    const around = `${text.slice(Math.max(0, start - AROUND), start)} ${text.slice(end, end + AROUND)}`;
    write.addChunkText.run(chunk, `${words} ${headings}`, text.slice(start, end), around);
  }
}
