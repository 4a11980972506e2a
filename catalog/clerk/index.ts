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

const webhook = defineWebhook({ source: "clerk", description: "An application on Clerk", ...schemes.clerk });

/** https://clerk.com/docs/guides/development/webhooks/overview#payload-structure */
const user = z.object({
  data: z.object({
    id: z.string(),
    first_name: z.string().nullish(),
    last_name: z.string().nullish(),
    username: z.string().nullish(),
    primary_email_address_id: z.string().nullish(),
    email_addresses: z.array(z.object({ id: z.string(), email_address: z.string() })).default([]),
    external_accounts: z.array(z.object({ provider: z.string().nullish() })).default([]),
  }),
});
const organization = z.object({ data: z.object({ name: z.string(), slug: z.string().nullish(), id: z.string() }) });

/** A person or an organization that has come or gone. */
export function read(event: Context["event"]): Note {
  if (event.type === "organization.created") {
    const { data } = readPayload(organization, event);
    return {
      kind: "organization",
      title: `Clerk: new organization ${data.name}`,
      summary: `The organization ${data.name} is new`,
      facts: [
        ["Slug", data.slug],
        ["Id", data.id],
      ],
    };
  }
  const { data } = readPayload(user, event);
  const mails = data.email_addresses;
  const mail = mails.find(({ id }) => id === data.primary_email_address_id) ?? mails[0];
  const name = [data.first_name, data.last_name].filter(Boolean).join(" ");
  const who = name || data.username || mail?.email_address || data.id;
  const gone = event.type === "user.deleted";
  return {
    kind: "user",
    title: `Clerk: ${who} ${gone ? "is gone" : "has signed up"}`,
    summary: gone ? `The account ${who} was deleted` : `${who} has signed up`,
    facts: [
      ["Name", name],
      ["User name", data.username],
      ["Mail", mail?.email_address],
      ["By", data.external_accounts.map(({ provider }) => provider).join(", ")],
      ["Id", data.id],
    ],
  };
}

const fileUser = defineTrigger({
  name: "file-user",
  description: "Files people who sign up or leave, and new organizations, in the hub's inbox",
  on: { source: "clerk", type: ["user.created", "user.deleted", "organization.created"] },
  run: async (context) =>
    await fileNote(context, await context.step.run("read the payload", () => read(context.event))),
});

export default defineCapability({
  name: "clerk",
  description: "Files who signs up to your application, and who leaves, in the hub's inbox.",
  webhooks: [webhook],
  triggers: [fileUser],
  secrets: [{ name: "CLERK_WEBHOOK_SECRET", description: "What Clerk signs with", required: false }],
});
