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

const webhook = defineWebhook({ source: "hubspot", description: "An account on HubSpot", ...schemes.hubspot });

/** https://developers.hubspot.com/docs/api-reference/webhooks-webhooks-v3/guide#webhook-payloads, one of its list. */
const change = z.object({
  portalId: z.int(),
  objectId: z.int(),
  subscriptionType: z.string(),
  objectTypeId: z.string().optional(),
  occurredAt: z.int(),
  changeSource: z.string().nullish(),
  propertyName: z.string().optional(),
  propertyValue: z.string().nullish(),
});

/** https://developers.hubspot.com/docs/guides/crm/understanding-the-crm#object-type-ids */
const TYPES: Readonly<Record<string, string>> = { contact: "0-1", company: "0-2", deal: "0-3", ticket: "0-5" };
const VERBS: Readonly<Record<string, string>> = {
  creation: "is new",
  deletion: "is deleted",
  privacyDeletion: "is deleted for privacy",
  merge: "was merged",
  restore: "is back",
  associationChange: "has another association",
};

/** What happened to a contact, a company, a deal or a ticket. */
export function read(event: Context["event"]): Note {
  const given = readPayload(change, event);
  const [object = "object", verb = ""] = given.subscriptionType.split(".");
  const type = given.objectTypeId ?? TYPES[object];
  const property = `${given.propertyName ?? "a property"} is now ${given.propertyValue || "empty"}`;
  const what = verb === "propertyChange" ? `: ${property}` : ` ${VERBS[verb] ?? verb}`;
  return {
    kind: object,
    title: `HubSpot: ${object} ${given.objectId}${what}`,
    summary: `In HubSpot, ${object} ${given.objectId}${what}`,
    url:
      type && `https://app.hubspot.com/contacts/${given.portalId}/record/${encodeURIComponent(type)}/${given.objectId}`,
    facts: [
      ["When", new Date(given.occurredAt).toISOString()],
      ["Property", given.propertyName],
      ["Value", given.propertyValue],
      ["Changed by", given.changeSource],
    ],
  };
}

const fileChange = defineTrigger({
  name: "file-change",
  description: "Files what happens to contacts, companies, deals and tickets in the hub's inbox",
  on: { source: "hubspot", type: ["contact.*", "company.*", "deal.*", "ticket.*", "object.*"] },
  run: async (context) =>
    await fileNote(context, await context.step.run("read the payload", () => read(context.event))),
});

export default defineCapability({
  name: "hubspot",
  description: "Files what happens to contacts, companies, deals and tickets on HubSpot in the hub's inbox.",
  webhooks: [webhook],
  triggers: [fileChange],
  secrets: [{ name: "HUBSPOT_WEBHOOK_SECRET", description: "The client secret of your HubSpot app", required: false }],
});
