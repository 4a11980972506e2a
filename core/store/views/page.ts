/**
 * A row as the API answers it: the names, and so the types, are those of docs/reference/api.md. Nothing here
 * reads it again, so it is written down only there.
 */
export type Row = Readonly<Record<string, unknown>> & { readonly id: string };

/** A part of a list, and the cursor of the part after it. */
export interface Page {
  readonly items: readonly Row[];
  readonly next: string | null;
}

/** Which part of a list is asked for: at most `limit` items after `cursor`, the last id of the part before. */
export interface PageQuery {
  readonly cursor?: string | undefined;
  readonly limit: number;
}

/** Makes a page of rows that were read one over the limit; the cursor is the last item's id. */
export function toPage(rows: readonly Row[], limit: number): Page {
  return { items: rows.slice(0, limit), next: rows.length > limit ? rows[limit - 1]!.id : null };
}

/** A label's two columns as one value. */
export const LABEL = "json_build_object('integrity', integrity, 'privacy', privacy) as label";
