import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { assertNoFaults, complaints, signedInPage, skip, suite } from "../../test/browser.ts";
import { testDatabase } from "../../test/database.ts";
import { testSystem } from "../../test/system.ts";

const NAME = "a-name-that-is-longer-than-any-phone-is-wide-and-has-no-place-at-which-it-could-break";
/** Asks before it does anything, and has a long name. */
const SHOP = `
import { defineCapability, defineTrigger } from "daimon";

export default defineCapability({
  name: "shop",
  description: "Sends orders.",
  triggers: [defineTrigger({
    name: "${NAME}",
    on: { source: "shop", type: "order.paid" },
    run: ({ step }) => step.approve("send", { title: "Send it?", action: { tool: "send_order", input: { n: 1 } } }),
  })],
});
`;

suite("the console under strain", { skip, timeout: 400_000 }, async () => {
  const { test } = await import("node:test");
  test("the console is used in a hurry, and Daimon is slow, or gone", async (t) => {
    const { database, url } = await testDatabase(t);
    const system = testSystem(t, { DATABASE_URL: url });
    system.install("shop", { "index.ts": SHOP });
    const daimon = await system.start();
    const origin = daimon.url;
    await database.query(
      `insert into events (id, source, type, key, time, outcome, integrity, privacy, data)
       select 'evt_0' || lpad(n::text, 25, '0'), 'shop', 'order.paid', n::text, now(), 'ignored', 'untrusted', 'public',
         jsonb_build_object('customer', 'Ada Lovelace')
       from generate_series(1, 120) n`,
    );
    const { items } = await system.daimon<{ items: { id: string }[] }>("events", "list", "--limit", "1");
    const replayed = await system.daimon<{ runIds: string[] }>("events", "replay", items[0]!.id);
    const page = await signedInPage(t, system);
    const live = page.locator(".live-state");
    const cookies = await page.context().cookies();
    const rows = page.locator(".event-rows a");

    await t.test("nothing jumps that was already there, in whichever order the answers come", async () => {
      const steady = await page.context().newPage();
      await steady.addInitScript(() => {
        const jumps: string[] = [];
        const see = new PerformanceObserver((list) => {
          for (const entry of list.getEntries() as (PerformanceEntry & { value: number })[])
            if (entry.value > 0.02) jumps.push(entry.value.toFixed(2));
        });
        see.observe({ type: "layout-shift", buffered: true });
        Object.assign(window, { jumps });
      });
      const late = ["events", "refusals", "triggers", "doctor", "status", "issues", "approvals"];
      await steady.route("**/api/**", async (route) => {
        const place = late.findIndex((name) => route.request().url().includes(name));
        await new Promise((later) => setTimeout(later, 150 * (place + 1)));
        await route.continue().catch(() => {});
      });
      const last = { "": ".approval", capabilities: ".pause", settings: ".check-rows", schedules: ".empty" };
      for (const [path, part] of Object.entries(last)) {
        await steady.goto(`${origin}/${path}`);
        await steady.locator(part).first().waitFor();
        const jumps = await steady.evaluate(async () => {
          await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
          return (window as unknown as { jumps: string[] }).jumps;
        });
        assert.deepEqual(jumps, [], `/${path}`);
      }
      await steady.close();
    });

    await t.test("a search may be typed with a rest at its space", async () => {
      await page.goto(`${origin}/events`);
      await rows.first().waitFor();
      const search = page.getByRole("searchbox");
      await search.pressSequentially("ada ");
      await page.waitForURL(`${origin}/events?q=ada`);
      await search.pressSequentially("lovelace");
      await page.waitForURL(`${origin}/events?q=ada+lovelace`);
      await rows.first().waitFor();
    });

    await t.test("Back leads to the list as it was left, at the same place", async () => {
      await page.goto(`${origin}/events`);
      await rows.first().waitFor();
      await page.getByRole("button", { name: "Load more" }).click();
      await rows.nth(90).scrollIntoViewIfNeeded();
      const height = await page.evaluate(() => scrollY);
      await rows.nth(90).click();
      await page.locator(".way").waitFor();
      await page.goBack();
      await rows.nth(99).waitFor();
      await page.waitForFunction((before) => Math.abs(scrollY - before) < 2, height);
    });

    await t.test("what the arrow keys choose in the palette is in sight", async () => {
      await page.keyboard.press("Control+k");
      await page.locator(".palette-item").nth(11).waitFor();
      for (let n = 0; n < 11; n++) await page.keyboard.press("ArrowDown");
      const chosen = page.locator(".palette-item[aria-selected=true]");
      await page.waitForFunction(() => document.querySelectorAll(".palette-item")[11]!.ariaSelected === "true");
      assert.ok(await chosen.evaluate(isInSight));
      await page.keyboard.press("Escape");
    });

    await t.test("an address that cannot be read is no page, and no empty one", async () => {
      await page.evaluate(() => {
        history.pushState(null, "", "/events/%E0%A4%A");
        dispatchEvent(new PopStateEvent("popstate"));
      });
      await page.getByText("There is no such page.").waitFor();
      await page.goto(`${origin}/events/%E0%A4%A`);
      await page.getByText("There is no such page.").waitFor();
    });

    await t.test("an approval and a long name are without fault on every page", async () => {
      for (const path of ["approvals", `runs/${replayed.runIds[0]}`]) {
        await page.goto(`${origin}/${path}`);
        await page.locator(".approval").waitFor();
        await assertNoFaults(page, path.replace("/", "-"));
      }
    });

    await t.test("what waits for an answer is shown, however many were answered since", async () => {
      await database.query(
        `insert into approvals (id, run_id, step, title, action, digest, status, expires_at, answered_at)
         select 'apr_7' || lpad(n::text, 25, '0'), run_id, n::text, 'Done', action, digest, 'denied', expires_at, now()
         from approvals, generate_series(1, 60) n`,
      );
      await page.goto(`${origin}/approvals`);
      await page.getByRole("button", { name: "Approve" }).waitFor();
    });

    await t.test("a page that the database did not answer is asked for again by itself", async () => {
      let away = true;
      const json = { error: { code: "database.away", message: "The database does not answer." } };
      await page.route("**/api/capabilities", (route) =>
        away ? route.fulfill({ status: 503, json }) : route.continue(),
      );
      await page.goto(`${origin}/capabilities`);
      await page.getByRole("alert").waitFor();
      away = false;
      await page.getByRole("heading", { name: "shop" }).waitFor();
      complaints.length = 0; // The 503.
    });

    await t.test("a form that is sent twice before its answer is there makes one", async () => {
      await page.goto(`${origin}/schedules`);
      await page.getByRole("button", { name: "New schedule" }).click();
      await page.getByText("Remind me", { exact: true }).click();
      await page.locator("input[name=when]").fill("every tuesday at 9:00");
      await page.locator("textarea[name=text]").fill("Bins out");
      await slowly(page, "**/api/schedules");
      await page.getByRole("button", { name: "Create" }).dblclick();
      await page.waitForURL(`${origin}/schedules/bins-out`);
      const { items: schedules } = await system.daimon<{ items: object[] }>("schedules", "list");
      assert.equal(schedules.length, 1);

      assert.deepEqual(complaints.splice(0), []);
    });

    await t.test("a session that has ended leads to the login page, which asks for nothing more", async () => {
      await page.addInitScript(() => {
        const { json } = Response.prototype;
        Response.prototype.json = function () {
          return new Promise((later) => setTimeout(later, 200)).then(() => json.call(this));
        };
      });
      await page.goto(`${origin}/runs`);
      await live.getByText("Live").waitFor();
      await page.context().clearCookies();
      await page.evaluate(openLiveAnew);
      await page.waitForURL(`${origin}/login`);
      await page.waitForTimeout(1000); // What was under way as it was led here may still be told.
      await assert.rejects(page.waitForRequest("**/api/**", { timeout: 5000 }), /Timeout/);
      complaints.length = 0; // The 401 that led here.
    });

    await t.test("that nothing answers is said on a phone, too", async () => {
      await page.context().addCookies(cookies);
      await page.setViewportSize({ width: 390, height: 844 });
      await page.goto(`${origin}/costs`);
      await page.getByRole("heading", { name: "Today" }).waitFor();
      await daimon.kill();
      await live.getByText("Offline").waitFor();
      complaints.length = 0; // The browser's own words on it.
    });
  });
});

/** Runs in the page: the tab is hidden and seen again. */
function openLiveAnew(): void {
  for (const hidden of [true, false]) {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }
}

/** Runs in the page: whether a list that scrolls shows the whole of it. */
function isInSight(item: Element): boolean {
  const [own, frame] = [item.getBoundingClientRect(), item.parentElement!.getBoundingClientRect()];
  return own.top >= frame.top && own.bottom <= frame.bottom;
}

/** Each answer to a POST to this address comes late. */
async function slowly(page: Page, address: string): Promise<void> {
  await page.route(address, async (route) => {
    if (route.request().method() === "POST") await new Promise((later) => setTimeout(later, 300));
    await route.continue();
  });
}
