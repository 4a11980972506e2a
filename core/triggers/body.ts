import { parseJson } from "../base/json.ts";
import type { RawRequest } from "../define/event.ts";
import { toText } from "../store/encode.ts";
import { BODY } from "../store/keep.ts";
import { parseXml } from "./xml.ts";

/** A body as data. */
export interface ParsedBody {
  readonly parsed: unknown;
  /** What is kept of it beside the bytes: BODY when parsing those again gives the same. */
  readonly data: unknown;
  /** Why it could not be read. */
  readonly problem?: string;
}

const MOST_PARTS = 1000;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** JSON, a form of either kind, or XML, by the content type; JSON where there is none. It does not throw. */
export function parseBody(request: RawRequest): ParsedBody {
  const type = request.headers["content-type"] ?? "";
  const kind = /^[^;]*[/+]xml\b/i.test(type) ? "XML" : /^multipart\/form-data/i.test(type) ? "a form" : "JSON";
  try {
    if (kind === "a form") return apart(parseParts(request.body, type));
    const text = UTF8.decode(request.body);
    if (kind === "XML") return apart(parseXml(text));
    if (!isForm(request)) return { data: BODY, parsed: parseJson(text) };
    const form = toForm(new URLSearchParams(text));
    // GitHub and Slack put JSON into one field of a form.
    return apart(typeof form.payload === "string" ? parseJson(form.payload) : form);
  } catch (error) {
    const { message } = error as Error;
    const odd = error instanceof SyntaxError ? `is not ${kind}: ${message}` : "is not UTF-8";
    const problem = toText(`The body ${error instanceof RangeError ? message : odd}.`);
    return { data: null, parsed: null, problem };
  }
}

const apart = (parsed: unknown): ParsedBody => ({ parsed, data: parsed });

export function isForm(request: RawRequest): boolean {
  return /application\/x-www-form-urlencoded/i.test(request.headers["content-type"] ?? "");
}

/** Fields as text; of a file its name, media type and size: its bytes stay in the request. */
function parseParts(bytes: Uint8Array, type: string): Record<string, unknown> {
  const boundary = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;]{1,200}))/i.exec(type);
  if (!boundary) throw new SyntaxError("it names no boundary");
  const body = Buffer.concat([Buffer.from("\r\n"), bytes]);
  const mark = Buffer.from(`\r\n--${boundary[1] ?? boundary[2]}`);
  const fields: [string, unknown][] = [];
  let at = body.indexOf(mark);
  for (let next = 0; at >= 0 && fields.length < MOST_PARTS; at = next) {
    next = body.indexOf(mark, at + mark.length);
    if (next < 0) break;
    const part = body.subarray(at + mark.length + 2, next);
    const gap = part.indexOf("\r\n\r\n");
    const head = part.subarray(0, Math.max(gap, 0)).toString("utf8");
    const name = /\bname="([^"]*)"/i.exec(head)?.[1];
    if (gap < 0 || name === undefined) throw new SyntaxError("a part of it has no name");
    const content = part.subarray(gap + 4);
    const file = /\bfilename="([^"]*)"/i.exec(head)?.[1];
    const media = /^content-type:\s*(\S+)/im.exec(head)?.[1];
    fields.push([name, file === undefined ? content.toString("utf8") : { file, media, bytes: content.length }]);
  }
  if (at < 0 || fields.length === 0) throw new SyntaxError("its boundary is not in it");
  return toForm(fields);
}

/** A field that comes several times is the list of its values: no reader may take the first where another takes the last. */
function toForm(fields: Iterable<readonly [string, unknown]>): Record<string, unknown> {
  const values = Map.groupBy(fields, ([name]) => name);
  return Object.fromEntries(
    [...values].map(([name, all]) => [name, all.length > 1 ? all.map(([, value]) => value) : all[0]![1]]),
  );
}
