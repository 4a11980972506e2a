import { splitNote } from "./front-matter.ts";

/** A passage of a file: whole lines, or a part of one very long line. */
export interface Chunk {
  /** Lines, from 1. */
  readonly first: number;
  readonly last: number;
  /** Where it stands in the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** The headings it stands under, outermost first. */
  readonly headings: string;
}

const GOAL_BYTES = 120 * 4;
const LEAST_BYTES = 40 * 4;
const LONG_LINE_BYTES = 2 * GOAL_BYTES;

/** What a note is called: `title` of its front matter, else its first heading, else its file name. */
export function titleOf(text: string, path: string): string {
  const { matter, body } = splitNote(text);
  const named = matter === null ? undefined : /^title:[ \t]*["']?(.+?)["']?[ \t]*$/mu.exec(matter)?.[1];
  const heading = /^#{1,2}[ \t]+(.+)$/mu.exec(body.slice(0, 2000))?.[1];
  const file = path.slice(path.lastIndexOf("/") + 1).replace(/\.\w+$/u, "");
  return (named ?? heading ?? file.replace(/[-_]+/gu, " ")).trim().slice(0, 200);
}

/**
 * Cuts a text into passages of about 120 tokens (bytes / 4): at headings, else at the end of a paragraph or line.
 * 120 was measured best for evidence found at 1,000 to 4,000 tokens.
 */
export function chunkText(text: string): Chunk[] {
  const { matter, body } = splitNote(text);
  const skipped = matter === null ? 0 : text.length - body.length;
  const chunks: Chunk[] = [];
  const headings: string[] = [];
  let open: { first: number; start: number; bytes: number; headings: string } | null = null;
  let line = text.slice(0, skipped).split("\n").length - 1;
  let at = skipped;
  const close = (last: number, end: number) => {
    if (open && /\S/u.test(text.slice(open.start, end))) {
      chunks.push({ first: open.first, last, start: open.start, end, headings: open.headings });
    }
    open = null;
  };
  while (at < text.length) {
    line++;
    const found = text.indexOf("\n", at);
    const next = found < 0 ? text.length : found + 1;
    const content = text.slice(at, next);
    const bytes = Buffer.byteLength(content);
    const heading = /^(#{1,6})[ \t]+(.+?)\s*$/u.exec(content);
    const size: number = open === null ? 0 : (open as { bytes: number }).bytes;
    const full = size + bytes > GOAL_BYTES * 1.25 && size >= LEAST_BYTES;
    if (open && ((heading && size >= LEAST_BYTES) || full)) close(line - 1, at);
    if (heading) {
      headings.length = heading[1]!.length - 1;
      headings[heading[1]!.length - 1] = heading[2]!;
    }
    const under = headings.filter(Boolean).join(" ");
    if (bytes > LONG_LINE_BYTES) {
      close(line - 1, at);
      for (const [start, end] of cutLine(content)) {
        chunks.push({ first: line, last: line, start: at + start, end: at + end, headings: under });
      }
    } else if (open || content.trim() !== "") {
      open ??= { first: line, start: at, bytes: 0, headings: under };
      open.bytes += bytes;
      const paragraphEnds = content.trim() === "" && open.bytes >= GOAL_BYTES * 0.75;
      if (open.bytes >= GOAL_BYTES || paragraphEnds) close(line, next);
    }
    at = next;
  }
  close(line, text.length);
  return chunks;
}

/** Parts of a long line, cut after sentences, or after words when a sentence is too long itself. */
function cutLine(line: string): [number, number][] {
  const parts: [number, number][] = [];
  let start = 0;
  while (start < line.length) {
    let end = Math.min(start + GOAL_BYTES, line.length);
    if (end < line.length) {
      const piece = line.slice(start, end);
      const sentence = Math.max(piece.lastIndexOf(". "), piece.lastIndexOf("? "), piece.lastIndexOf("! ")) + 2;
      const word = piece.lastIndexOf(" ") + 1;
      const cut = sentence > GOAL_BYTES / 2 ? sentence : word;
      if (cut > GOAL_BYTES / 4) end = start + cut;
      else if (line.charCodeAt(end) >>> 10 === 0x37) end--; // never between two halves of a character
    }
    parts.push([start, end]);
    start = end;
  }
  return parts;
}
