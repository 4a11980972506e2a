/** A part of a list, and the cursor of the part after it. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

/** Which part of a list is asked for: at most `limit` items after `cursor`, the last id of the part before. */
export interface PageQuery {
  readonly cursor?: string | undefined;
  readonly limit: number;
}

/** Makes a page of rows that were read one over the limit; the cursor is the last item's id. */
export function toPage<Item extends { id: string }>(rows: readonly Item[], limit: number): Page<Item> {
  const items = rows.slice(0, limit);
  return { items, next: rows.length > limit ? items.at(-1)!.id : null };
}
