import assert from "node:assert/strict";
import { assertNoFaults, complaints, signedInPage, skip, suite, textIn } from "../../test/browser.ts";
import { testSystem } from "../../test/system.ts";

/** Fails on orders without a plan; its source soon falls silent. */
const SHOP = `
import { defineCapability, defineTrigger, defineWebhook, schemes } from "daimon";

function planOf(order: { email: string; plan: string | null }): string {
  if (order.plan === null) throw new Error("No plan for " + order.email);
  return order.plan;
}

export default defineCapability({
  name: "shop",
  description: "Plans orders",
  webhooks: [defineWebhook({
    source: "shop",
    ...schemes.generic,
    verify: { ...schemes.generic.verify, secret: "SHOP_SECRET" },
    expectEvery: "4s",
  })],
  triggers: [defineTrigger<{ email: string; plan: string | null }>({
    name: "plan",
    on: { source: "shop" },
    retry: { attempts: 1, delays: [] },
    run: async ({ event, step }) => step.run("find the plan", () => planOf(event.data)),
  })],
  secrets: [{ name: "SHOP_SECRET", description: "What the shop signs with", generate: true }],
});
`;
const ORDER = {
  ...{ type: "order", email: "ada@example.com", plan: "pro", total: 3 },
  ...{ customer: { name: "Ada", since: 2019 }, items: [{ sku: "A1", price: 2 }] },
};

/** Runs in the page: sends orders to the shop through the real door, one after the other. */
async function sendOrders(orders: object[]): Promise<void> {
  for (const data of orders) {
    await fetch("/api/samples", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ source: "shop", data }),
    });
  }
}

suite("issues in a browser", { skip, timeout: 400_000 }, async () => {
  const { test } = await import("node:test");
  test("failures of one cause, a payload of another shape, and silence: each is seen, understood and closed", async (t) => {
    const system = testSystem(t);
    system.install("shop", { "index.ts": SHOP, "samples/order.json": JSON.stringify(ORDER) });
    const { url: origin } = await system.start();
    const page = await signedInPage(t, system);

    // Two customers, one cause.
    await page.goto(`${origin}/issues?kind=failure`);
    await page.getByText("No issue is like that.").waitFor();
    const nobody = (...emails: string[]) => emails.map((email) => ({ email, plan: null }));
    await page.evaluate(sendOrders, nobody("jane@example.com", "bob@example.org"));
    const row = page.locator(".issue-rows a", { hasText: "No plan for …" });
    await row.getByText("2 times").waitFor();
    await page.locator(".side .badge").waitFor();
    await row.click();
    await page.getByRole("heading", { level: 1, name: "No plan for …" }).waitFor();
    assert.match(await textIn(page.locator(".frames li").first()), /^planOf \(shop\/index\.ts:\d+:\d+\)$/);
    await page.getByRole("button", { name: "Retry these 2…" }).waitFor();
    await page.getByRole("button", { name: "Replay these 2…" }).waitFor();
    await assertNoFaults(page, "failure");
    await page.getByRole("link", { name: "All its runs" }).click();
    await page.waitForURL(/\/runs\?issue=iss_/);
    await page.locator(".run-rows li").nth(1).waitFor();
    await page.locator(".run-rows a").first().click();
    await page.getByRole("link", { name: "Its issue" }).click();
    await page.getByRole("button", { name: "Close" }).click();
    await page.locator(".page-sub").getByText("closed").waitFor();
    await page.evaluate(sendOrders, nobody("eve@example.net"));
    await page.locator(".page-sub").getByText("open").waitFor();
    await page.getByText("came back, 2 openings").waitFor();

    // Silence opens meanwhile.
    await page.goto(`${origin}/issues?kind=silence`);
    await page
      .locator(".issue-rows a", { hasText: "Nothing from shop" })
      .or(page.getByRole("button", { name: "1 new" }))
      .first()
      .waitFor();
    await page.reload();
    await page.locator(".issue-rows a", { hasText: "Nothing from shop" }).click();
    await page.getByText("Does the sender still send").waitFor();
    await assertNoFaults(page, "silence");

    // Another shape.
    await page.goto(`${origin}/issues?kind=shape`);
    await page.getByText("No issue is like that.").waitFor();
    await page.evaluate(sendOrders, [{}, {}, {}, {}, {}, { customer: { name: "Bob" }, total: "3" }]);
    await page.locator(".issue-rows a", { hasText: "is now" }).click();
    await page.locator(".differences").getByText("was a number, is now missing").waitFor();
    await page.locator(".samples .panel").nth(1).locator(".json-marked").getByText('"3"').waitFor();
    await assertNoFaults(page, "shape");
    await page.goto(`${origin}/issues`);
    await page.locator(".issue-rows li").nth(1).waitFor();
    await assertNoFaults(page, "issues");
    await page.locator(".issue-rows a", { hasText: "is now" }).click();
    await page.getByRole("button", { name: "Accept the new shape" }).click();
    await page.locator(".page-sub").getByText("closed").waitFor();

    // The owner was told.
    const { items } = await system.daimon<{ items: { kind: string; closedBy: string | null }[] }>(
      ...["issues", "list", "--status", "all"],
    );
    assert.deepEqual(items.map((issue) => issue.kind).sort(), ["failure", "shape", "silence"]);
    await page.goto(`${origin}/chat`);
    // By its address: the name of the house is a link called so, too, and is there before the conversations are.
    await page.locator('a[href^="/chat/cnv_"]', { hasText: "Daimon" }).first().click();
    await page
      .getByText(/No plan for … \(trigger:shop\/plan/)
      .first()
      .waitFor();
    assert.deepEqual(complaints, []);
  });
});
