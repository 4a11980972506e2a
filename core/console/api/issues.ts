import { z } from "zod";
import { type Difference, describeDifference } from "../../issues/shapes.ts";
import { findIssueDetail, listIssues } from "../../store/views/issues.ts";
import type { Api } from "../auth.ts";
import { page, present, readBody, readId, readQuery } from "../input.ts";
import type { ConsoleOptions } from "../options.ts";

const QUERY = page("iss").extend({
  status: z.enum(["open", "closed"]).optional(),
  kind: z.enum(["failure", "silence", "shape"]).optional(),
});

/** Issues, and closing them. */
export function issueRoutes(api: Api, { database, actions }: ConsoleOptions): void {
  api.get("/issues", async (context) => context.json(await listIssues(database, readQuery(context, QUERY))));

  const show = async (id: string) => {
    const issue = present(await findIssueDetail(database, id), "issue", id);
    const { differences } = (issue.detail ?? {}) as { differences?: readonly Difference[] };
    return { ...issue, differences: (differences ?? []).map(describeDifference) };
  };

  api.get("/issues/:id", async (context) => context.json(await show(readId(context, "issue"))));

  api.patch("/issues/:id", async (context) => {
    const id = readId(context, "issue");
    await readBody(context, z.strictObject({ status: z.literal("closed", "can only be set to closed") }));
    present((await actions.closeIssue(id, context.get("login").name)) || null, "issue", id);
    return context.json(await show(id));
  });
}
