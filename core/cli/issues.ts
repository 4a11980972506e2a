import type { IssueDetail, IssueItem } from "../console/web/api.ts";
import { call } from "./connection.ts";
import { change, ownerZone, pathOf, query, type ReadOptions, showList } from "./read.ts";
import { dim, facts, line, paint, print, printJson, say, status, time } from "./terminal.ts";

export const listIssues = ({ status: wanted, ...options }: ReadOptions & { status: string }) =>
  showList<IssueItem>(`/api/issues${query(wanted === "all" ? options : { ...options, status: wanted })}`, options, {
    none: wanted === "open" ? "No issue is open." : "No issue is like that.",
    columns: {
      ID: (issue) => issue.id,
      STATUS: (issue) => status(issue.status),
      LAST: (issue, zone) => time(issue.lastAt, zone),
      COUNT: (issue) => String(issue.count),
      ABOUT: (issue) => line(issue.about),
      ISSUE: (issue) => line(issue.title),
    },
  });

export async function showIssue(id: string, options: ReadOptions) {
  const issue = await call<IssueDetail>("GET", await pathOf("/api/issues?status=open", id));
  if (options.json) return printJson(issue);
  const zone = await ownerZone();
  const error = issue.runs[0]?.error ?? issue.messages[0]?.error;
  facts([
    ["Issue", paint("bold", issue.id)],
    ["What", line(issue.title)],
    ["About", line(`${issue.about} (${issue.kind})`)],
    ["Status", `${status(issue.status)} ${issue.openings > 1 ? `opened ${issue.openings} times` : ""}`],
    ["Count", String(issue.count)],
    ["First", time(issue.firstAt, zone)],
    ["Last", time(issue.lastAt, zone)],
    ["Closed", issue.closedAt && `${time(issue.closedAt, zone)}${issue.closedBy ? ` by ${line(issue.closedBy)}` : ""}`],
    ["Error", error && paint("red", line(`${error.message} (${error.code})`))],
    ["Next", error?.next && line(error.next)],
  ]);
  for (const frame of error?.at ?? []) print(`  ${dim("at")} ${line(frame)}`);
  for (const difference of issue.differences) print(`  ${line(difference)}`);
  if (issue.detail?.after) print(`${dim("Samples")}  ${issue.detail.before} ${issue.detail.after}`);
  for (const run of issue.runs) print(`${run.id}  ${status(run.status)}  ${time(run.createdAt, zone)}`);
  for (const message of issue.messages) print(`${message.id}  ${status(message.state)}  ${line(message.text)}`);
  if (issue.runs.length > 0) say(`Next: daimon runs list --issue ${issue.id}`);
}

export const closeIssue = async (id: string, options: ReadOptions) =>
  change<IssueDetail>(
    ["PATCH", await pathOf("/api/issues?status=open", id), { status: "closed" }],
    options,
    ({ title }) => say(`Closed: ${line(title)}`),
  );
