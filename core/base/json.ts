/** What is nested deeper is read by V8, but neither written by it nor held by the database. */
const MOST_LEVELS = 1000;

/** As `JSON.parse`, whose SyntaxError it throws; throws a RangeError for what is nested too deeply. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  // A level takes two signs at least.
  if (text.length > 2 * MOST_LEVELS && isDeeper(value, MOST_LEVELS))
    throw new RangeError(`is nested more than ${MOST_LEVELS} levels deep`);
  return value;
}

const isDeeper = (value: unknown, levels: number): boolean =>
  typeof value === "object" &&
  value !== null &&
  (levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1)));
