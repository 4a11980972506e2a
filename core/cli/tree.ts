import { readFileSync } from "node:fs";
import { join } from "node:path";
import { styleText } from "node:util";
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { ROOT } from "../base/environment.ts";
import { formatHelp, setExamples, subcommandTerm } from "./help.ts";

/** What the one file that knows all rooms gives to the command line. */
export interface CliMain {
  /** Runs the system (only these of `web`, `worker`, `clock`), and resolves when it has stopped. */
  start(options: { only?: readonly string[]; port?: number; open?: boolean }): Promise<void>;
}

// Each command's file is imported when the command is run, so that it loads only what it needs.
const APPROVALS = () => import("./approvals.ts");
const CAPABILITIES = () => import("./capabilities.ts");
const CHAT = () => import("./chat.ts");
const COMPLETION = () => import("./completion.ts");
const COSTS = () => import("./costs.ts");
const DOCTOR = () => import("./doctor.ts");
const EVENTS = () => import("./events.ts");
const HUB = () => import("./hub.ts");
const ISSUES = () => import("./issues.ts");
const INIT = () => import("./init.ts");
const LOGINS = () => import("./logins.ts");
const LOGS = () => import("./logs.ts");
const RUNS = () => import("./runs.ts");
const SCHEDULES = () => import("./schedules.ts");

/** The whole command line. */
export function buildProgram(main: CliMain): Command {
  const program = new Command("daimon")
    .description("A personal AI operating system that its owner can read, own and trust.")
    .version(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version, "--version", "show the version")
    .helpOption("-h, --help", "show this help")
    .configureHelp({ formatHelp, subcommandTerm, styleTitle: (title) => styleText("bold", title) })
    // Errors are thrown, and shown in one shape by cli.ts.
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  setExamples(program, ["npm start", "daimon send github push", 'daimon chat "hi"', "git diff | daimon chat review"]);
  addBeginning(program.commandsGroup("Begin:"), main);
  addCapabilities(program.commandsGroup("What it can do:"));
  addSending(program.commandsGroup("What happens:"));
  addEvents(noun(program, "events", "The facts that came in"));
  addRuns(noun(program, "runs", "The executions of triggers, schedules and agents"));
  addIssues(noun(program, "issues", "What is wrong, once for each cause"));
  addSchedules(noun(program, "schedules", "What happens at which time"));
  addApprovals(noun(program, "approvals", "What waits for your yes or no"));
  addChat(program.commandsGroup("You:"));
  addHub(noun(program, "hub", "What Daimon knows: Markdown in git"));
  addOperations(program.commandsGroup("Keep it well:"));
  addTokens(noun(program, "token", "Keys to the API for other machines and programs"));
  return program.helpCommand("help [command...]", "Show the help of a command");
}

/** A noun that holds verbs; alone it shows its help. */
const noun = (parent: Command, name: string, description: string): Command =>
  parent.command(name).description(description).helpCommand(false);

type Action = (...given: never[]) => unknown;

/** A command. Its examples are what is typed after its name, or a whole line that names `daimon`. */
function verb(parent: Command, usage: string, description: string, examples: string[], action: Action): Command {
  const command = parent
    .command(usage)
    .description(description)
    .action(action as () => void);
  const name = parent.parent ? `daimon ${parent.name()} ${command.name()}` : `daimon ${command.name()}`;
  return setExamples(
    command,
    examples.map((typed) => (typed.includes("daimon") ? typed : `${name} ${typed}`.trim())),
  );
}

/** A command that can answer as JSON. */
const read = (...parts: Parameters<typeof verb>): Command =>
  verb(...parts).option("--json", "print the whole answer as JSON");

/** One that is read page by page. */
const list = (...parts: Parameters<typeof verb>): Command =>
  read(...parts)
    .addOption(count("--limit <count>", "at most so many, up to 200", 200))
    .option("--cursor <cursor>", "go on where the page before ended (its `next`)");

/** An action of a file that is imported when it is called. Commander gives it the arguments, then the options. */
const act =
  <Module extends object>(load: () => Promise<Module>, name: keyof Module): Action =>
  async (...given) => {
    await ((await load())[name] as Action)(...given);
  };

function count(flags: string, description: string, most = 100_000): Option {
  return new Option(flags, description).argParser((text: string) => {
    if (/^[1-9]\d{0,8}$/.test(text) && Number(text) <= most) return Number(text);
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${most}.`);
  });
}

const oneOf = (flags: string, description: string, words: string): Option =>
  new Option(flags, description).choices(words.split(" "));

function addBeginning(program: Command, main: CliMain): void {
  verb(program, "start", "Run the system: web, worker and clock in one process", ["--open"], main.start)
    .addOption(new Option("--only <parts>", "run only these of web,worker,clock").argParser(parseParts))
    .addOption(count("--port <port>", "listen there (default: PORT, else 4242)", 65_535))
    .option("--open", "open the browser at the login link");
  const quiet = "--name Ada --zone Europe/Amsterdam --key-from-stdin <key.txt";
  verb(program, "init", "Say who you are and give a model key, or take the demo", ["", quiet], act(INIT, "init"))
    .option("--name <name>", "what Daimon calls you")
    .option("--zone <zone>", "your IANA time zone")
    .option("--key-from-stdin", "read a model key from stdin, and ask nothing");
  read(program, "doctor", "Look at all that must stand; exit 6 when something does not", [""], act(DOCTOR, "doctor"));
  read(program, "login", "Print a one-time link that opens the console", [""], act(LOGINS, "login"));
}

function parseParts(text: string): string[] {
  const parts = text.split(",");
  if (parts.every((part) => ["web", "worker", "clock"].includes(part))) return [...new Set(parts)];
  throw new InvalidArgumentError("It takes web, worker and clock, with commas between.");
}

function addCapabilities(program: Command): void {
  const from = "Install a capability: a name of the catalog, a folder or a git URL";
  const forms = ["payments", "./my-capability --yes", "https://git.example/ada/capabilities.git#shop"];
  verb(program, "add <from>", from, forms, act(CAPABILITIES, "add")).option("--yes", "do not ask");
  verb(program, "remove <name>", "Remove a capability", ["payments"], act(CAPABILITIES, "remove")).option(
    "--yes",
    "do not ask",
  );
  read(program, "list", "What is installed, and what was refused and why", [""], act(CAPABILITIES, "list"));
  const skills = noun(program, "skills", "What an agent can read up");
  read(skills, "list", "Those of the hub and of the capabilities", [""], act(CAPABILITIES, "listSkills"));
}

function addSending(program: Command): void {
  const examples = [
    "github push --wait",
    "github --bad-signature",
    "stripe --stale",
    "github issues.opened --data @issue.json",
  ];
  const description = "Send a signed sample webhook through the real door";
  read(program, "send <source> [type]", description, examples, act(EVENTS, "send"))
    .addOption(count("--times <count>", "so many deliveries", 1000))
    .option("--bad-signature", "break the signature, to see it refused")
    .option("--stale", "sign it as if long ago, to see it refused")
    .option("--duplicate", "send the same delivery twice")
    .option("--data <json>", "fields to change in the sample: JSON, @file, or @- for stdin")
    .option("--wait", "wait for the runs; exit 5 when one failed");
  read(program, "listen [source]", "Print events as they come in", ["github"], act(EVENTS, "listen"));
}

/** The options that say which events or runs are meant. */
function span(command: Command): Command {
  return command
    .option("--since <time>", "only from then on: 7d (so long ago), or 2026-11-24T09:00Z")
    .option("--until <time>", "only before then");
}

const eventFilter = (command: Command): Command =>
  span(command)
    .option("--source <source>", "only of this source")
    .option("--type <type>", "only of this type, or below it (issues.*)")
    .addOption(oneOf("--outcome <outcome>", "only with this outcome", "dispatched ignored filtered skipped dead"))
    .option("--text <text>", "only with this text, or with customer.email:jane@example.com in the data")
    .option("--handler <handler>", "only with a run of this handler")
    .option("--error <code>", "only where a run has failed with this code")
    .option("--issue <id>", "only where a run that failed belongs to this issue");

const runFilter = (command: Command): Command =>
  span(command)
    .option("--handler <handler>", "only of this handler")
    .option("--error <code>", "only with this code of the error")
    .option("--text <text>", "only with this text in the error")
    .option("--event <id>", "only of this event")
    .option("--issue <id>", "only of this issue");

/** What goes with doing it to many. */
const many = (command: Command): Command =>
  command
    .option("--preview", "only say how many they are, and show the newest")
    .option("--yes", "do not ask")
    .option("--wait", "wait for the runs; exit 5 when one failed");

function addEvents(events: Command): void {
  const searches = ["--source github", "--text customer.email:jane@example.com --since 7d"];
  eventFilter(list(events, "list", "The newest first", searches, act(EVENTS, "listEvents")));
  read(events, "show <id>", "One with its data, its runs and their steps", ["latest"], act(EVENTS, "showEvent")).option(
    "--raw",
    "also the headers of the request",
  );
  const replay = "Run the current triggers again on one, or on all of a filter";
  const examples = ["latest --wait", "latest --edit", "--outcome dead --since 7d --preview"];
  many(eventFilter(read(events, "replay [id]", replay, examples, act(EVENTS, "replayEvent"))))
    .option("--data <json>", "on a new event with this data: JSON, @file, or @- for stdin")
    .option("--edit", "on a new event with the data as you change it in $EDITOR");
  const source = ["github"];
  const pause = "Keep what comes from a source, and run nothing";
  read(events, "pause <source>", pause, source, act(EVENTS, "pauseSource"));
  read(events, "resume <source>", "Run what waited, and what comes", source, act(EVENTS, "resumeSource"));
}

function addRuns(runs: Command): void {
  const statuses = "queued running waiting completed failed canceled";
  runFilter(list(runs, "list", "The newest first", ["--status failed"], act(RUNS, "listRuns")))
    .addOption(oneOf("--status <status>", "only with this status", statuses))
    .option("--order <id>", "only what came of this replay or retry of many");
  read(runs, "show <id>", "One with the tree of its steps", ["latest"], act(RUNS, "showRun"));
  read(runs, "watch <id>", "Tell of its steps to its end; exit 5 when it failed", ["latest"], act(RUNS, "watchRun"));
  read(runs, "cancel <id>", "Cancel one", ["latest"], act(RUNS, "cancelRun"));
  const again = "Queue one that failed, or all of a filter, again; completed steps are kept";
  const examples = ["latest", "--handler trigger:github/file-push --preview"];
  many(runFilter(read(runs, "retry [id]", again, examples, act(RUNS, "retryRun")))).addOption(
    oneOf("--status <status>", "those that are (default: failed); waiting for the next try", "failed canceled waiting"),
  );
  const trigger = ["github/file-push"];
  read(runs, "pause <trigger>", "Let a trigger begin nothing: its runs wait", trigger, act(RUNS, "pauseTrigger"));
  read(runs, "resume <trigger>", "Let its runs begin, those that waited first", trigger, act(RUNS, "resumeTrigger"));
}

function addIssues(issues: Command): void {
  const kinds = "failure silence shape";
  list(issues, "list", "The one that was last met first", ["", "--status all"], act(ISSUES, "listIssues"))
    .addOption(oneOf("--status <status>", "only with this status", "open closed all").default("open"))
    .addOption(oneOf("--kind <kind>", "runs that failed, a silent source, or a payload of another shape", kinds));
  read(issues, "show <id>", "One with its error and the newest runs", ["latest"], act(ISSUES, "showIssue"));
  const close = "Close one; it opens again when the same is met again";
  read(issues, "close <id>", close, ["iss_…"], act(ISSUES, "closeIssue"));
}

function addSchedules(schedules: Command): void {
  const example = ["competitor-analysis/weekly"];
  list(schedules, "list", "All of them, by name", [""], act(SCHEDULES, "listSchedules"));
  const next = "The next five times, of one or of all, and what the next clock change does";
  read(schedules, "next [name]", next, ["", ...example], act(SCHEDULES, "nextTimes"));
  const adding = [
    '"every tuesday at 9:00" "Write the brief of the week"',
    '"0 7 * * *" "What is on today?" --jitter 5m',
  ];
  const add = "Let an agent be asked something at a time, and tell you the answer";
  policy(read(schedules, "add <when> <text>", add, adding, act(SCHEDULES, "addSchedule")), true).option(
    "--agent <name>",
    "ask this agent (default: default)",
  );
  const reminding = ['"tomorrow at 9" "Call Ana"', '"in 20 minutes" "Tea"', '"every friday at 16:00" "Time sheet"'];
  policy(
    read(schedules, "remind <when> <text>", "Be told something at a time", reminding, act(SCHEDULES, "remind")),
    true,
  );
  const edit = "Change one that no capability brings; what is not said stays";
  policy(
    read(schedules, "edit <name>", edit, ['my-brief --when "every monday at 8:30"'], act(SCHEDULES, "editSchedule")),
    false,
  )
    .option("--when <when>", "another time")
    .option("--text <text>", "another text")
    .option("--agent <name>", "ask this agent");
  const remove = "Remove one that no capability brings";
  verb(schedules, "remove <name>", remove, ["my-brief"], act(SCHEDULES, "removeSchedule"));
  const ticks = "What it did: nominal and real time, and what became of each tick";
  list(schedules, "ticks <name>", ticks, example, act(SCHEDULES, "showTicks"));
  read(schedules, "run <name>", "Fire one now", example, act(SCHEDULES, "fireSchedule"));
  read(schedules, "pause <name>", "Let it not fire", example, act(SCHEDULES, "pauseSchedule"));
  read(schedules, "resume <name>", "Let it fire again", example, act(SCHEDULES, "resumeSchedule"));
}

/** What becomes of missed and overlapping ticks and of failures. */
function policy(command: Command, isNew: boolean): Command {
  const overlap = "when the run before is not finished: skip, queue one, allow beside, cancel the older";
  if (isNew) {
    command.option("--name <name>", "what it is called (default: the first words of the text)");
    command.option("--dry-run", "only show when it would come");
  }
  return command
    .option("--zone <zone>", "IANA time zone (default: yours)")
    .addOption(oneOf("--catchup <which>", "missed ticks that are made up", "none one all"))
    .option("--window <duration>", "how late one may be made up (default: 1m for none, 7d for one, 24h for all)")
    .addOption(oneOf("--overlap <what>", overlap, "skip queue allow cancel"))
    .option("--jitter <duration>", "fire up to so much later, each time the same")
    .addOption(count("--after <count>", "tell you after so many failed runs in a row (default: 1)"))
    .option("--quiet-recovery", "do not tell when it goes well again");
}

function addApprovals(approvals: Command): void {
  const status = oneOf("--status <status>", "only with this status", "waiting approved denied expired all");
  list(approvals, "list", "The newest first", [""], act(APPROVALS, "listApprovals")).addOption(
    status.default("waiting"),
  );
  read(approvals, "show <id>", "The exact action that is asked about", ["latest"], act(APPROVALS, "showApproval"));
  read(approvals, "approve <id>", "Let it happen, this once", ["apr_…"], act(APPROVALS, "approve"));
  read(approvals, "deny <id>", "Do not let it happen", ["apr_…"], act(APPROVALS, "deny"));
}

function addChat(program: Command): void {
  const examples = ['"hi"', 'git diff | daimon chat "review"', ""];
  const description = "Ask an agent, with what is piped in; exit 5 when it has no answer";
  read(program, "chat [message...]", description, examples, act(CHAT, "chat"))
    .option("--agent <name>", "ask this agent")
    .option("--conversation <id>", "go on in this conversation, or in the `latest`");
}

function addHub(hub: Command): void {
  const budget = () => count("--budget <tokens>", "at most so many tokens");
  const under = () => new Option("--under <folder>", "only below this folder");
  read(hub, "map", "The folders with a line on each", [""], act(HUB, "mapHub")).addOption(budget()).addOption(under());
  const question = ['"launch date" --budget 2000'];
  read(hub, "search <query...>", "The passages that answer best", question, act(HUB, "searchHub"))
    .addOption(budget())
    .addOption(under());
  read(hub, "read <path>", "One file", ["identity/soul.md"], act(HUB, "readHub")).addOption(budget());
}

function addOperations(program: Command): void {
  const costs = "What the models cost, and the last calls with their tokens";
  read(program, "costs", costs, ["--since 7d"], act(COSTS, "showCosts")).option(
    "--since <duration>",
    "so far back, like 12h or 30d",
    "30d",
  );
  read(program, "logs", "What the system wrote into its log", ["-f --level warn"], act(LOGS, "showLogs"))
    .option("-f, --follow", "go on with what is written from now on")
    .addOption(oneOf("--level <level>", "this level and above", "info warn error").default("info"))
    .addOption(count("-n, --lines <count>", "the last so many").default(50));
  const stop = "STOP: cancel what runs and begin nothing, until it is released";
  read(program, "stop", stop, ["", "--release"], act(LOGINS, "stop")).option("--release", "lift it");
}

function addTokens(token: Command): void {
  read(token, "create <name>", "Make one; it is shown once", ["laptop --scope read"], act(LOGINS, "createToken"))
    .addOption(oneOf("--scope <scope>", "what it may do", "read write admin").default("read"))
    .addOption(count("--days <count>", "for how long (default: 90)", 3650));
  read(token, "list", "All of them, without the secret", [""], act(LOGINS, "listTokens"));
  verb(token, "revoke <name>", "Take one back", ["laptop"], act(LOGINS, "revokeToken"));
}

/** The command that prints a shell's completion script, and the hidden one which that script asks. */
export function addCompletion(program: Command, main: CliMain): Command {
  const examples = ["bash >>~/.bashrc", "zsh >>~/.zshrc"];
  const script = async (shell: string) => (await COMPLETION()).printScript(buildProgram(main), shell);
  const answer = async (words: string[]) => (await COMPLETION()).complete(buildProgram(main), words);
  verb(
    program,
    "completion",
    "Print the script that completes commands; bash needs bash-completion",
    examples,
    script as Action,
  ).addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"]));
  program.command("complete [words...]", { hidden: true }).allowUnknownOption().action(answer);
  return program;
}
