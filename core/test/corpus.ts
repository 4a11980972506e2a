import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Numbers that look random and are the same each time. */
function createDice(seed: number) {
  let state = seed;
  const next = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  return { next, pick: <Value>(list: readonly Value[]): Value => list[next(list.length)]! };
}

const PEOPLE = "Ann Ben Caro Dev Elif Finn Greta Hugo Ines Jonas".split(" ");
const PLACES = "Lisbon,Oslo,the lake,Kyoto,my sister's farm,Vienna,the coast,Nairobi,the old mill,Quebec".split(",");
const MONTHS = "January February March April May June July August September October November December".split(" ");
const SMALL = [
  "Hey, how have you been? It feels like ages since we last talked!",
  "Work has been crazy, but I can't complain. How about you?",
  "That sounds wonderful, I'm so happy for you.",
  "Haha, I know exactly what you mean.",
  "Thanks for always listening, it means a lot to me.",
  "Did you get any rest at the weekend?",
  "I keep telling myself to slow down a little, and then I don't.",
  "You should be proud of yourself, really.",
  "Anyway, what are you up to these days?",
  "Same here. Let's catch up properly when things are calmer.",
  "I made some pasta and watched a film, nothing special.",
  "Oh wow, tell me more about that!",
];
const THINGS: readonly { say: string; ask: string; with: readonly string[] }[] = [
  {
    say: "Big news: we adopted a {} from the shelter, the kids are over the moon.",
    ask: "Which pet did {} take in?",
    with: ["greyhound", "tabby cat", "parrot", "tortoise", "rabbit"],
  },
  {
    say: "I finally signed up for {} lessons, first one is on Thursday.",
    ask: "What has {} begun taking lessons in?",
    with: ["pottery", "cello", "fencing", "welding", "tango"],
  },
  {
    say: "The doctor says my {} needs rest for six weeks, no running.",
    ask: "Which part of the body must {} rest on the doctor's advice?",
    with: ["ankle", "shoulder", "left knee", "wrist", "back"],
  },
  {
    say: "For dinner I tried to cook {} and burnt half of it.",
    ask: "What dish did {} burn while cooking?",
    with: ["paella", "moussaka", "risotto", "dumplings", "ratatouille"],
  },
  {
    say: "I sold the old {} and bought myself a bicycle instead.",
    ask: "What did {} sell to buy a bicycle?",
    with: ["motorbike", "piano", "caravan", "station wagon", "canoe"],
  },
  {
    say: "My book club chose a novel about {}, and I could not put it down.",
    ask: "What was the novel of {}'s book club about?",
    with: ["beekeepers", "lighthouses", "a forger", "the tundra", "chess"],
  },
  {
    say: "We named the baby {}, after my grandmother's side of the family.",
    ask: "What is the name of {}'s baby?",
    with: ["Matilda", "Otis", "Leonora", "Casimir", "Freya"],
  },
  {
    say: "At the charity race we raised money for {}, more than last year.",
    ask: "What cause did {} run the charity race for?",
    with: ["mental health", "wetlands", "a hospice", "sea rescue", "a library"],
  },
  {
    say: "I got the job! I start as {} in two weeks.",
    ask: "What job did {} get?",
    with: ["head gardener", "a stage manager", "a cartographer", "school nurse", "a sound engineer"],
  },
  {
    say: "My landlord is putting {} into the house, so I have builders everywhere.",
    ask: "What are builders installing at {}'s house?",
    with: ["a lift", "solar panels", "new windows", "a heat pump", "a sauna"],
  },
];

/** Talks of five pairs of people, a file each, and questions in other words than the turn that answers them. */
export function writeTalks(root: string) {
  const dice = createDice(42);
  const questions: { question: string; evidence: string }[] = [];
  let turns = 0;
  for (let pair = 0; pair < 5; pair++) {
    const [one, two] = [PEOPLE[pair * 2]!, PEOPLE[pair * 2 + 1]!];
    const folder = `areas/talks/${one.toLowerCase()}-${two.toLowerCase()}`;
    mkdirSync(join(root, folder), { recursive: true });
    const facts = [one, two].flatMap((who) => THINGS.map((thing) => ({ who, thing, value: dice.pick(thing.with) })));
    for (let session = 0; session < facts.length; session++) {
      const { who, thing, value } = facts[session]!;
      const turn = `${who}: ${thing.say.replace("{}", value)} ${dice.pick(["It happened in", "I was in", "We went to"])} ${dice.pick(PLACES)}.`;
      const lines = Array.from(
        { length: 18 },
        (_, index) => `${index % 2 ? two : one}: ${dice.pick(SMALL)} ${dice.pick(SMALL)}`,
      );
      lines.splice(2 + dice.next(14), 0, turn);
      turns += lines.length;
      const day = `${1 + dice.next(28)} ${MONTHS[session % 12]} 2026`;
      const text = `# Talk of ${one} and ${two}, ${day}\n\n${lines.join("\n")}\n`;
      writeFileSync(join(root, folder, `talk-${String(session + 1).padStart(2, "0")}.md`), text);
      questions.push({ question: thing.ask.replace("{}", who), evidence: turn });
    }
  }
  return { questions, turns };
}

/** `count` notes of some 300 tokens in 200 folders, of words that follow Zipf's law and of the talks' own. */
export function writeNoise(root: string, count: number): number {
  const dice = createDice(7);
  const syllables = "ba de fi go ku la me ni po ru sa te vi xo zu bra cle dri flo gru ple sta tri".split(" ");
  const made = Array.from({ length: 20_000 }, (_, index) => {
    const one = syllables[index % 23]! + syllables[Math.floor(index / 23) % 23]!;
    return index < 529 ? one : one + syllables[Math.floor(index / 529) % 23]! + (index % 7 ? "" : "s");
  });
  const common = [...SMALL, ...THINGS.map(({ say, ask }) => `${say} ${ask}`)].join(" ").match(/[a-z]{3,}/gu)!;
  const word = () =>
    dice.next(20) === 0 ? dice.pick(common) : made[Math.floor(20_000 ** (dice.next(10_000) / 10_000))]!;
  for (let index = 0; index < count; index++) {
    const folder = `knowledge/field-${index % 10}/topic-${index % 200}`;
    if (index < 200) mkdirSync(join(root, folder), { recursive: true });
    const lines = Array.from({ length: 12 }, () => `${Array.from({ length: 16 }, word).join(" ")}.`);
    writeFileSync(join(root, folder, `note-${index}.md`), `# ${word()} ${word()} ${index}\n\n${lines.join("\n\n")}\n`);
  }
  return count;
}
