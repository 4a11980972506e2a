/**
 * Gathers what arrives while one flush is under way into the next one, so that concurrent callers share a
 * commit and an idle caller waits for nobody. `flush` returns one outcome an item, in order. When a flush
 * of several items throws, it is split in halves, so that one bad item does not fail its neighbours.
 */
export function createBatch<Item, Outcome>(
  flush: (items: Item[]) => Promise<Outcome[]>,
  options: {
    most: number;
    /** Flushes at a time. */
    lanes: number;
    /** How many items it takes for a flush beside another one: fewer wait, for each flush costs by itself. Default 1. */
    beside?: number;
  },
): (item: Item) => Promise<Outcome> {
  type Entry = { item: Item; resolve: (outcome: Outcome) => void; reject: (error: unknown) => void };
  const gathered: Entry[] = [];
  let busy = 0;

  const run = async (entries: Entry[]): Promise<void> => {
    try {
      const outcomes = await flush(entries.map((entry) => entry.item));
      entries.forEach((entry, place) => {
        entry.resolve(outcomes[place]!);
      });
    } catch (error) {
      if (entries.length === 1) return entries[0]!.reject(error);
      const middle = entries.length >> 1;
      await run(entries.slice(0, middle));
      await run(entries.slice(middle));
    }
  };

  const { most, lanes, beside = 1 } = options;
  const start = () => {
    while (gathered.length >= (busy === 0 ? 1 : beside) && busy < lanes) {
      const share = Math.max(beside, Math.ceil(gathered.length / (lanes - busy)));
      const entries = gathered.splice(0, Math.min(most, share));
      busy++;
      void run(entries).finally(() => {
        busy--;
        start();
      });
    }
  };

  let scheduled = false;
  return (item) =>
    new Promise((resolve, reject) => {
      gathered.push({ item, resolve, reject });
      if (scheduled) return;
      scheduled = true;
      // One turn of the event loop: requests that were read together are kept together.
      setImmediate(() => {
        scheduled = false;
        start();
      });
    });
}
