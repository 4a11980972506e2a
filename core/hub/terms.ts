/** English words that carry no meaning of their own, and those that questions are made of. */
const STOP = new Set(
  `a about above after again against all also am an and any are as at be because been before being below between
  both but by can could did do does doing don down during each few for from further had has have having he her here
  hers him his how i if in into is it its just me might more most my no nor not now of off on once only or other our
  ours out over own s same she should so some such t than that the their theirs them then there these they this those
  through to too under until up us very was we were what when where which while who whom whose why will with would you
  your yours d ll m re ve tell`.split(/\s+/u),
);

const MOST_TERMS = 32;

/** The words of a question that are worth looking for, in order, each once; all of them when none is. */
export function searchTerms(query: string): string[] {
  const words = [
    ...new Set(
      query
        .normalize("NFKC")
        .toLowerCase()
        .match(/[\p{L}\p{N}]+/gu) ?? [],
    ),
  ];
  const telling = words.filter((word) => !STOP.has(word));
  return (telling.length > 0 ? telling : words).slice(0, MOST_TERMS);
}
