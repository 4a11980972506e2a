import assert from "node:assert/strict";
import { test } from "node:test";
import { DaimonError } from "../../base/errors.ts";
import { newId } from "../../base/ids.ts";
import type { Database } from "../../store/database.ts";
import { testConsole } from "../../test/console.ts";

async function keepApproval(
  database: Database,
  approval: { status?: string; expiresAt?: string } = {},
): Promise<string> {
  const id = newId("apr");
  await database.query(
    "insert into runs (id, event_id, handler, status) values ('run_1', 'evt_1', 'x', 'waiting') on conflict do nothing",
  );
  await database.query(
    `insert into approvals (id, run_id, step, title, action, digest, status, expires_at)
     values ($1, 'run_1', $1, 'Delete a file', '{"tool":"file_delete","input":{"path":"a.md"}}', 'd', $2, $3)`,
    [id, approval.status ?? "waiting", approval.expiresAt ?? "2026-11-23T12:00:00Z"],
  );
  return id;
}

test("approvals are listed by status, and one that nobody answered in time is expired", async (t) => {
  const house = await testConsole(t);
  const waiting = await keepApproval(house.database);
  const late = await keepApproval(house.database, { expiresAt: "2026-11-22T11:59:59Z" });
  const approved = await keepApproval(house.database, {
    status: "approved",
    expiresAt: "2026-11-22T11:59:59Z",
  });
  const list = async (status: string) =>
    (await house.json<{ items: { id: string }[] }>(`/api/approvals?status=${status}`)).items.map(({ id }) => id);
  assert.deepEqual(await list("waiting"), [waiting]);
  assert.deepEqual(await list("expired"), [late]);
  assert.deepEqual(await list("approved"), [approved]);
  assert.deepEqual((await house.json(`/api/approvals/${waiting}`)).action, {
    tool: "file_delete",
    input: { path: "a.md" },
  });
  assert.equal((await house.json<{ approvals: number }>("/api/status")).approvals, 1);
});

test("an approval is answered once, in the name of who answered", async (t) => {
  const said: string[][] = [];
  const house = await testConsole(t, {
    actions: {
      async answerApproval(id, answer, by) {
        if (said.length > 0) throw new DaimonError("approval.answered", "It is approved already.");
        said.push([id, answer, by]);
        await house.database.query("update approvals set status = 'approved', answered_at = now() where id = $1", [id]);
      },
    },
  });
  const id = await keepApproval(house.database);
  const answer = (body: unknown, approval = id) => house.ask("POST", `/api/approvals/${approval}/answers`, { body });
  assert.equal((await answer({ answer: "yes" })).status, 400);
  assert.equal((await answer({ answer: "deny" }, newId("apr"))).status, 404);
  const first = await answer({ answer: "approve" });
  assert.equal(first.status, 200);
  assert.equal(((await first.json()) as { status: string }).status, "approved");
  assert.match(said[0]!.join(" "), new RegExp(`^${id} approve admin-`));
  assert.equal((await answer({ answer: "deny" })).status, 409);
});
