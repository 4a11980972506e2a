import {
  type Context,
  defineCapability,
  defineTrigger,
  defineWebhook,
  fileNote,
  type Note,
  readPayload,
  schemes,
  z,
} from "daimon";

const webhook = defineWebhook({
  source: "discord",
  description: "An application on Discord",
  ...schemes.discord,
  replies: {
    accepted: [
      ...schemes.discord.replies!.accepted!.slice(0, 2),
      // Only for the eyes of whoever gave the command. https://discord.com/developers/docs/interactions/receiving-and-responding
      { status: 200, json: { type: 4, data: { content: "Kept.", flags: 64 } } },
    ],
  },
});

interface Option {
  name: string;
  value?: string | number | boolean | undefined;
  options?: Option[] | undefined;
}
const option: z.ZodType<Option> = z.lazy(() =>
  z.object({
    name: z.string(),
    value: z.union([z.string(), z.number(), z.boolean()]).optional(),
    options: z.array(option).optional(),
  }),
);
const user = z.object({ username: z.string(), global_name: z.string().nullish() });
const common = {
  guild_id: z.string().nullish(),
  channel_id: z.string().nullish(),
  member: z.object({ user }).nullish(),
  user: user.nullish(),
};
/** https://discord.com/developers/docs/interactions/receiving-and-responding#interaction-object */
const command = z.object({ ...common, data: z.object({ name: z.string(), options: z.array(option).default([]) }) });
interface Component {
  custom_id?: string | undefined;
  value?: string | undefined;
  components?: Component[] | undefined;
  component?: Component | undefined;
}
const component: z.ZodType<Component> = z.lazy(() =>
  z.object({
    custom_id: z.string().optional(),
    value: z.string().optional(),
    components: z.array(component).optional(),
    component: component.optional(),
  }),
);
const modal = z.object({
  ...common,
  data: z.object({ custom_id: z.string(), components: z.array(component).default([]) }),
});

/** A command with its options, or what was filled into a form. */
export function read(event: Context["event"]): Note {
  if (event.type === "modal") {
    const { data, ...around } = readPayload(modal, event);
    return toNote(`form ${data.custom_id}`, data.components.flatMap(valuesOf), around);
  }
  const { data, ...around } = readPayload(command, event);
  return toNote(`/${data.name}`, data.options.flatMap(optionsOf), around);
}

type Around = Pick<z.infer<typeof command>, "guild_id" | "channel_id" | "member" | "user">;

function toNote(what: string, values: readonly [string, string][], { member, user, ...around }: Around): Note {
  const person = member?.user ?? user;
  const who = person ? (person.global_name ?? person.username) : "Somebody";
  const { guild_id: guild, channel_id: channel } = around;
  return {
    kind: "command",
    title: `Discord: ${[what, ...values.map(([, value]) => value)].join(" ")}`,
    summary: `${who} gave ${what} on Discord`,
    url: channel ? `https://discord.com/channels/${guild ?? "@me"}/${channel}` : null,
    facts: [["From", person && `${who} (${person.username})`]],
    text: values.map(([name, value]) => `${name}: ${value}`).join("\n"),
  };
}

/** Options, those of a subcommand too. */
const optionsOf = ({ name, value, options = [] }: Option): [string, string][] =>
  value === undefined ? options.flatMap(optionsOf) : [[name, String(value)]];
const valuesOf = ({ custom_id, value, components = [], component }: Component): [string, string][] => [
  ...(value === undefined ? [] : ([[custom_id ?? "value", value]] as [string, string][])),
  ...[...components, ...(component ? [component] : [])].flatMap(valuesOf),
];

const fileCommand = defineTrigger({
  name: "file-command",
  description: "Files commands and forms in the hub's inbox",
  on: { source: "discord", type: ["command", "modal"] },
  run: async (context) =>
    await fileNote(context, await context.step.run("read the payload", () => read(context.event))),
});

export default defineCapability({
  name: "discord",
  description: "Files the commands that people give your Discord application in the hub's inbox.",
  webhooks: [webhook],
  triggers: [fileCommand],
  secrets: [{ name: "DISCORD_PUBLIC_KEY", description: "The application's public key", required: false }],
});
