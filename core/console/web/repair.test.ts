import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { assertNoFaults, complaints, signedInPage, skip, suite, textIn } from "../../test/browser.ts";
import { testDatabase } from "../../test/database.ts";
import { readServer, testSystem, until } from "../../test/system.ts";

const SECRET = "shop-secret";

/** Files orders. Of one without an address it knows no country, and throws. */
const shop = (country: string) => `
import { defineCapability, defineTrigger, defineWebhook } from "daimon";

interface Order { customer: { email: string; address?: { country: string } } }

export default defineCapability({
  name: "shop",
  description: "Files orders by country.",
  webhooks: [defineWebhook({
    source: "shop",
    verify: { scheme: "hmac", secret: "SHOP_SECRET", header: "x-signature", algorithm: "sha256", encoding: "hex" },
    type: [{ header: "x-type" }],
  })],
  triggers: [defineTrigger<Order>({
    name: "file",
    on: { source: "shop", type: "order.paid" },
    retry: { attempts: 2, delays: [20] },
    run: async ({ event, step }) => {
      const { customer } = event.data;
      const country = await step.run("country", () => ${country});
      return { country: country.toUpperCase(), email: customer.email };
    },
  })],
  secrets: [{ name: "SHOP_SECRET", description: "Signs orders." }],
});
`;
const BROKEN = shop("customer.address!.country");
const MENDED = shop('customer.address?.country ?? "unknown"');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function sendOrder(home: string, n: number): Promise<void> {
  const address = n < 37 ? {} : { address: { country: "nl" } };
  const body = JSON.stringify({ id: `order-${n}`, customer: { email: `customer${n}@example.com`, ...address } });
  const signature = createHmac("sha256", SECRET).update(body).digest("hex");
  const headers = { "x-signature": signature, "x-type": "order.paid", "content-type": "application/json" };
  const response = await fetch(`${readServer(home).url}/hooks/shop`, { method: "POST", body, headers });
  assert.equal(response.status, 202);
}

suite("what broke is put right in a browser", { skip, timeout: 400_000 }, async () => {
  const { test } = await import("node:test");
  test("find a customer's event, see why its run failed, mend the code, replay the 37 like it, watch them finish", async (t) => {
    const port = String(await freePort());
    const { database, url: databaseUrl } = await testDatabase(t);
    const system = testSystem(t, { PORT: port, SHOP_SECRET: SECRET, DATABASE_URL: databaseUrl });
    system.install("shop", { "index.ts": BROKEN });
    let daimon = await system.start();
    for (let n = 0; n < 60; n++) await sendOrder(system.home, n);
    const origin = daimon.url;
    const page = await signedInPage(t, system);

    // Find it by its payload.
    await page.goto(`${origin}/events?source=shop`);
    await page.locator(".event-rows li").nth(49).waitFor();
    await until("37 dead", async () => {
      const { items } = await system.daimon<{ items: object[] }>(
        "events",
        "list",
        "--outcome",
        "dead",
        "--limit",
        "100",
      );
      return items.length === 37;
    });
    await assertNoFaults(page, "events");
    await page.getByRole("searchbox").fill("customer.email:customer17@example.com");
    await page.getByText("that is all there are").waitFor();
    assert.equal(await page.locator(".event-rows li").count(), 1);
    await page.locator(".event-rows .status").getByText("dead").waitFor();
    await assertNoFaults(page, "found");

    // See why its run failed.
    await page.locator(".event-rows a").click();
    await page.locator(".way").getByText("trigger:shop/file failed").waitFor();
    await assertNoFaults(page, "event");
    await page.getByRole("link", { name: "The run" }).click();
    await page.locator(".step-line").waitFor();
    assert.match(
      await textIn(page.getByRole("alert")),
      /TypeError: Cannot read properties of undefined \(reading 'country'\)/,
    );
    await assertNoFaults(page, "run");

    // Mend the code.
    writeFileSync(join(system.capabilities, "shop/index.ts"), MENDED);
    await daimon.stop();
    daimon = await system.start();
    await page.locator(".live-state").getByText("Live").waitFor();
    complaints.length = 0; // While it was away, the browser said so.

    // Replay the 37 like it.
    await page.getByRole("link", { name: "All that failed like this" }).click();
    await page.getByRole("button", { name: "Replay these 37…" }).click();
    const dialog = page.getByRole("dialog", { name: "Replay many" });
    await dialog.getByRole("heading", { name: "Replay 37 events?" }).waitFor();
    assert.match(await textIn(dialog), /outcome\s+dead[\s\S]*and 32 more[\s\S]*Only trigger:shop\/file runs/);
    await assertNoFaults(page, "ask");
    await dialog.getByRole("button", { name: "Replay 37 events" }).click();

    // Watch them finish.
    await page.waitForURL(/\/runs\/run_/);
    await page.getByText("37 of 37 events replayed").waitFor();
    await page.getByText("37 completed").waitFor();
    await page.locator(".run-rows li").nth(9).waitFor();
    await assertNoFaults(page, "progress");
    await page.goto(`${origin}/events?outcome=dead`);
    await page.getByText("No event is like that.").waitFor();
    await page.goto(`${origin}/runs?status=failed`);
    await page.locator(".run-rows li").first().waitFor();
    await assertNoFaults(page, "failed");
    // The replays stand for them: there is nothing to retry, once that is counted.
    await page.getByRole("button", { name: /^Retry these/ }).waitFor({ state: "detached" });

    // One more, with other data.
    await page.goto(`${origin}/events?q=customer3@example.com`);
    await page.locator(".event-rows a").first().click();
    await page.getByRole("button", { name: "Edit and replay" }).click();
    const editor = page.getByLabel("Data", { exact: true });
    const before = await editor.inputValue();
    await editor.fill(before.replace('"order-3",', '"order-3"'));
    await page.getByText("Line 3, column 3").waitFor();
    await page.getByText("a comma or } is missing here").waitFor();
    assert.ok(await page.getByRole("button", { name: "Replay with this" }).isDisabled());
    await assertNoFaults(page, "edit");
    await editor.fill(before.replace("customer3@", "jane@"));
    await page.getByRole("button", { name: "Replay with this" }).click();
    await page.getByText("You edited").waitFor();
    await page.getByText('"jane@example.com"').waitFor();
    await page.getByText("untrusted · public").waitFor();
    await assertNoFaults(page, "edited");
    await page.locator(".way").getByRole("link", { name: /^evt_/ }).click();
    await page.getByText("Replayed with other data as").waitFor();
    await page.getByText('"customer3@example.com"').waitFor();

    // A search looks on by itself, however far back it is.
    await database.query(
      `insert into events (id, source, type, key, time, outcome, integrity, privacy, body)
       select 'evt_0' || lpad(n::text, 25, '0'), 'shop', 'old', 'old ' || n, now(), 'ignored', 'untrusted', 'public',
         convert_to(json_build_object('customer', 'old' || n)::text, 'UTF8') from generate_series(1, 12000) n`,
    );
    await page.goto(`${origin}/events?q=customer:old1`);
    await page.getByText("Looked through 12,0").waitFor();
    assert.equal(await page.locator(".event-rows li").count(), 1);
    assert.deepEqual(complaints, []);
  });
});
