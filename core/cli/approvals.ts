import type { Approval } from "../console/web/api.ts";
import { call } from "./connection.ts";
import { usage } from "./exit.ts";
import { change, ownerZone, pathOf, query, type ReadOptions, showList } from "./read.ts";
import { dim, facts, line, paint, pretty, print, printJson, say, status, time } from "./terminal.ts";

export const listApprovals = ({ status: wanted, ...options }: ReadOptions & { status: string }) =>
  showList<Approval>(`/api/approvals${query(wanted === "all" ? options : { ...options, status: wanted })}`, options, {
    none: wanted === "waiting" ? "Nothing waits for you." : "No approval is like that.",
    columns: {
      ID: (approval) => approval.id,
      STATUS: (approval) => status(approval.status),
      EXPIRES: (approval, zone) => time(approval.expiresAt, zone),
      WHAT: (approval) => line(approval.title),
    },
  });

export async function showApproval(id: string, options: ReadOptions) {
  const approval = await call<Approval>("GET", await pathOf("/api/approvals?status=waiting", id));
  if (options.json) return printJson(approval);
  const zone = await ownerZone();
  facts([
    ["Approval", paint("bold", approval.id)],
    ["What", line(approval.title)],
    ["Status", status(approval.status)],
    ["Run", approval.runId],
    ["Expires", time(approval.expiresAt, zone)],
    ["Tool", line(approval.action.tool)],
  ]);
  print(`${dim("Input")}  ${pretty(approval.action.input)}`);
  if (approval.status === "waiting") say(`Next: daimon approvals approve ${approval.id} (or deny)`);
}

/** `latest` is not taken: another question may have come in since one was read. */
function answer(id: string, word: "approve" | "deny", options: ReadOptions) {
  if (id === "latest") throw usage("An answer needs the exact id.", "daimon approvals list");
  const path = `/api/approvals/${encodeURIComponent(id)}/answers`;
  return change<Approval>(["POST", path, { answer: word }], options, (approval) =>
    say(`${approval.status === "approved" ? "Approved" : "Denied"}: ${line(approval.title)}`),
  );
}

export const approve = async (id: string, options: ReadOptions) => answer(id, "approve", options);
export const deny = async (id: string, options: ReadOptions) => answer(id, "deny", options);
