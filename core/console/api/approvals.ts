import { z } from "zod";
import { findApproval, listApprovals } from "../../store/views/talk.ts";
import type { Api } from "../auth.ts";
import { page, present, readBody, readId, readQuery } from "../input.ts";
import type { ConsoleOptions } from "../options.ts";

const QUERY = page("apr").extend({ status: z.enum(["waiting", "approved", "denied", "expired"]).optional() });
const ANSWER = z.strictObject({ answer: z.enum(["approve", "deny"]) });

/** Approvals, and answering them. */
export function approvalRoutes(api: Api, { database, actions, clock }: ConsoleOptions): void {
  const find = async (id: string) => present(await findApproval(database, id, clock.now()), "approval", id);

  api.get("/approvals", async (context) =>
    context.json(await listApprovals(database, readQuery(context, QUERY), clock.now())),
  );

  api.get("/approvals/:id", async (context) => context.json(await find(readId(context, "approval"))));

  api.post("/approvals/:id/answers", async (context) => {
    const id = readId(context, "approval");
    const { answer } = await readBody(context, ANSWER);
    await find(id);
    await actions.answerApproval(id, answer, context.get("login").name);
    return context.json(await find(id));
  });
}
