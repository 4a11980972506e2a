import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { complaints, findFaults, launchBrowser, skip, suite, textIn, watchedPage } from "../../test/browser.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
let home: string;
let server: ChildProcess;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let link: string;
let origin: string;

suite("the console in a browser", { skip, timeout: 400_000 }, () => {
  before(async () => {
    home = await mkdtemp(join(tmpdir(), "daimon-console-"));
    server = spawn(join(ROOT, "node_modules/.bin/node"), ["core/main.ts", "start"], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, HOME: home, DAIMON_HOME: join(home, "home"), PORT: "0" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    link = await printedLink(server);
    origin = new URL(link).origin;
    browser = await launchBrowser();
    context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    page = await watchedPage(context);
  });

  after(async () => {
    await browser?.close();
    if (server && server.exitCode === null) {
      const gone = new Promise((done) => server.once("exit", done));
      server.kill("SIGTERM");
      await gone;
    }
    if (home) await rm(home, { recursive: true, force: true });
  });

  test("without a code the login page says how to get one", async () => {
    await page.goto(`${origin}/login`);
    await page.getByText("npx daimon login").waitFor();
  });

  test("whoever is not signed in is led to the login page", async () => {
    await page.goto(`${origin}/events`);
    await page.waitForURL(`${origin}/login`);
    complaints.length = 0; // The 401 that led here is written to the console by the browser itself.
  });

  test("the printed link signs in once, and its code leaves the address", async () => {
    await page.goto(link);
    await page.waitForURL(`${origin}/events`);
    await page.goto(`${origin}/`);
    await page.getByText("First five minutes").waitFor();
    assert.equal(page.url(), `${origin}/`);
    const [cookie] = await context.cookies();
    assert.deepEqual(
      [cookie?.name, cookie?.httpOnly, cookie?.sameSite],
      [`daimon-${new URL(origin).port}`, true, "Strict"],
    );

    const other = await browser.newContext();
    const stranger = await other.newPage();
    await stranger.goto(link);
    await stranger.getByRole("alert").waitFor();
    assert.match(await textIn(stranger.getByRole("alert")), /\S/);
    assert.equal(new URL(stranger.url()).hash, "");
    await other.close();
  });

  test("whoever signs in again goes on where the session ended, in the same tab or in another", async () => {
    for (const place of ["/runs?status=failed", "/settings"]) {
      await page.goto(`${origin}${place}`);
      await page.locator('.live-state[data-tone="good"]').waitFor();
      await context.clearCookies();
      await page.goto(`${origin}${place}`);
      await page.waitForURL(`${origin}/login`);
      const { stdout } = await promisify(execFile)(process.execPath, ["core/main.ts", "login", "--json"], {
        cwd: ROOT,
        env: { PATH: process.env.PATH, HOME: home, DAIMON_HOME: join(home, "home") },
      });
      if (place === "/settings") page = await watchedPage(context);
      await page.goto(JSON.parse(stdout).url.replace("127.0.0.1", "localhost"));
      await page.waitForURL(`${origin}${place}`);
    }
    complaints.length = 0; // The 401s, in the browser's own words.
    await page.goto(origin);
    await page.getByText("First five minutes").waitFor();
  });

  test("the five buttons do it, show what came back, and tick off", async () => {
    const lesson = (step: string) => page.locator(`[data-step=${step}]`);
    const press = async (step: string) => {
      await lesson(step).getByRole("button").click();
      await page.locator(`[data-step=${step}][data-done=true]`).waitFor();
      return await textIn(lesson(step).locator(".lesson-result"));
    };
    assert.match(await press("sent"), /^202\s[\s\S]*evt_…/);
    assert.match(await press("refused"), /^401\s[\s\S]*signature/i);
    const [first, second] = (await press("duplicate")).split("200");
    assert.equal(first?.match(/evt_\S+/)?.[0], second?.match(/evt_\S+/)?.[0], "the same id twice");
    assert.match(await press("report"), /202[\s\S]*run_…/);
    await lesson("report").getByText("completed").waitFor({ timeout: 60_000 });
    assert.match(await press("asked"), /\w{3}/);
    await page.getByText("First five minutes: done").waitFor();
  });

  test("an event tells the whole way: outcome, data, headers, raw body, runs; and is replayed", async () => {
    await page.goto(`${origin}/events?source=github`);
    await page.locator(".event-rows a").first().click();
    await page.getByRole("heading", { level: 1, name: "github push" }).waitFor();
    await page.getByRole("button", { name: "Headers" }).click();
    await page.getByText("x-hub-signature-256").waitFor();
    await page.getByRole("button", { name: "Raw body" }).click();
    assert.match(await textIn(page.locator("pre.raw")), /^\{/);
    await page.getByRole("button", { name: "Replay", exact: true }).click();
    await page.locator(".run-rows li").nth(1).waitFor();
    assert.equal(await page.locator(".run-rows li").count(), 2);
  });

  test("refusals stand on a page of their own, with the reason and the count", async () => {
    await page.goto(`${origin}/events/refusals`);
    await page.getByText("signature wrong").waitFor();
  });

  test("a run shows its steps on a timeline, and each unfolds", async () => {
    await page.goto(`${origin}/runs?handler=schedule:competitor-analysis/weekly`);
    await page.locator(".run-rows a").first().click();
    const model = page.locator(".step[data-kind=model] .step-line").first();
    await model.click();
    await page.locator(".step-inside").getByText("Prompt").waitFor();
    assert.ok((await page.locator(".step").count()) > 3);
  });

  test("chat streams an answer, keeps it over a reload, and shows what it used", async () => {
    await page.goto(`${origin}/chat`);
    await page.getByLabel("Message").fill("save idea: a video on webhooks");
    await page.keyboard.press("Enter");
    await page.getByText(/Saved in inbox\//).waitFor();
    await page.getByText("used save_idea").waitFor();
    await page.waitForURL(/\/chat\/cnv_/);
    await page.locator(".turn-foot").getByText("demo, no model").waitFor();
    await page.reload();
    await page.getByText(/Saved in inbox\//).waitFor();
  });

  test("an approval is asked inline with its exact effect, outlives a reload, and is answered", async () => {
    await page.goto(`${origin}/chat`);
    await page.getByLabel("Message").fill("delete the idea on webhooks");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Approve" }).waitFor();
    assert.match(await textIn(page.locator(".approval .effect")), /forget_idea[\s\S]*inbox\/.*\.md/);
    await page.reload();
    await page.locator(".talk").getByRole("button", { name: "Approve" }).click();
    await page.getByText(/^Done: inbox\//).waitFor();
  });

  test("a waiting run is stopped from the chat, and retried from its page", async () => {
    await page.goto(`${origin}/chat`);
    await page.getByLabel("Message").fill("delete the idea on webhooks");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Approve" }).waitFor();
    await page.getByRole("button", { name: "Stop the answer" }).click();
    await page.getByText("stopped").waitFor();
    await page.locator(".turn-foot").getByRole("link", { name: "run" }).click();
    await page.getByRole("button", { name: "Retry" }).click();
    await page.getByRole("button", { name: "Deny" }).click();
    await page.locator(".page-sub").getByText("completed").waitFor();
  });

  test("a text that could not be sent comes back into the field", async () => {
    await page.goto(`${origin}/chat`);
    await page.route("**/api/chat", (route) =>
      route.fulfill({
        status: 503,
        json: {
          error: {
            code: "database.down",
            message: "The database does not answer.",
            next: "npx daimon doctor",
          },
        },
      }),
    );
    await page.getByLabel("Message").fill("do not lose me");
    await page.keyboard.press("Enter");
    await page.getByText("npx daimon doctor").waitFor();
    assert.equal(await page.getByLabel("Message").inputValue(), "do not lose me");
    await page.unroute("**/api/chat");
    complaints.length = 0; // The 503 above, in the browser's own words.
  });

  test("a source is paused on the page of capabilities: what comes waits, is counted, and runs when it is resumed", async () => {
    await page.goto(`${origin}/capabilities`);
    await page.getByRole("button", { name: "Pause the source github" }).click();
    const resume = page.getByRole("button", { name: "Resume the source github" });
    await resume.waitFor();
    const sent = await page.request.post(`${origin}/api/samples`, {
      data: { source: "github", type: "push", times: 2 },
      headers: { origin },
    });
    assert.equal(sent.status(), 200);
    const waiting = page.getByRole("link", { name: "2 held back" });
    await waiting.first().waitFor();
    await waiting.first().click();
    await page.locator(".run-rows a").first().click();
    await page.getByText("the source github is paused").first().waitFor();
    await page.goto(`${origin}/capabilities`);
    await resume.click();
    await page.getByText("github goes on; 2 runs had waited.").waitFor();
    await waiting.first().waitFor({ state: "detached" });
  });

  test("STOP is one dialog away on every page, shows that it is on, and is taken back", async () => {
    await page.goto(`${origin}/runs`);
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("button", { name: "Stop now" }).click();
    await page.getByText("nothing runs until you resume").waitFor();
    await page.getByRole("banner").getByRole("button", { name: "Resume" }).click();
    await page.getByText("nothing runs until you resume").waitFor({ state: "detached" });
  });

  test("the keyboard goes everywhere", async () => {
    await page.goto(`${origin}/`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("e");
    await page.waitForURL(`${origin}/events`);
    await page.locator(".event-rows a").first().waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/events\/evt_/);
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox").fill("costs");
    await page.keyboard.press("Enter");
    await page.waitForURL(`${origin}/costs`);
  });

  test("the runs of every handler that there is can be chosen, however old they are", async () => {
    await page.goto(`${origin}/runs?status=queued`);
    await page.getByText("No run is like that.").waitFor();
    const handlers = page.getByLabel("Handler").locator("option");
    for (const name of ["agent:default", "schedule:competitor-analysis/weekly", "trigger:github/file-push"])
      await handlers.getByText(name, { exact: true }).waitFor({ state: "attached" });
  });

  test("while only the database is away that is said, and again that it is back", async () => {
    await page.goto(`${origin}/events`);
    const live = page.locator(".live-state");
    await live.getByText("Live").waitFor();
    await page.route("**/api/status", (route) =>
      route.fulfill({ status: 503, json: { error: { code: "database.down", message: "It does not answer." } } }),
    );
    await live.getByText("No database").waitFor();
    await page.unroute("**/api/status");
    await live.getByText("Live").waitFor();
    complaints.length = 0; // The 503s, in the browser's own words.
  });

  test("a live event waits on top of the list, and nothing jumps", async () => {
    await page.goto(`${origin}/events`);
    await page.locator(".event-rows a").first().waitFor();
    const first = await page.locator(".event-rows a").first().getAttribute("href");
    await page.locator('.live-state[data-tone="good"]').waitFor();
    await page.evaluate(sendSample, "star.created");
    await page.getByRole("button", { name: "1 new" }).waitFor();
    assert.equal(await page.locator(".event-rows a").first().getAttribute("href"), first);
    await page.getByRole("button", { name: "1 new" }).click();
    assert.notEqual(await page.locator(".event-rows a").first().getAttribute("href"), first);
  });

  test("the live feed pauses while the tab is hidden, and catches up", async () => {
    await page.goto(`${origin}/events`);
    const live = page.locator(".live-state");
    await live.getByText("Live").waitFor();
    const hide = (hidden: boolean) =>
      page.evaluate((value) => {
        Object.defineProperty(document, "hidden", { value, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    await hide(true);
    await live.getByText("Paused").waitFor();
    await page.evaluate(sendSample, "issues.opened");
    await hide(false);
    await page.getByRole("button", { name: "1 new" }).waitFor();
  });

  test("a token is shown once and revoked", async () => {
    await page.goto(`${origin}/settings`);
    await page.getByLabel("Name of the token").fill("a-test");
    await page.getByRole("button", { name: "Create token" }).click();
    await page.locator(".once code").waitFor();
    const row = page.locator(".token-rows li", { hasText: "a-test" });
    await row.getByRole("button", { name: "Revoke" }).click();
    await row.waitFor({ state: "detached" });
  });

  test("a schedule is written in words, previewed, made, fired, changed and removed", async () => {
    await page.goto(`${origin}/schedules`);
    await page.getByRole("button", { name: "New schedule" }).click();
    const when = page.locator("input[name=when]");
    await when.fill("next tuesday at 9");
    await page.getByText("can be two days").waitFor();
    complaints.splice(0);
    await when.fill("every tuesday at 9:00");
    await page.locator(".schedule-form .next-times li").nth(4).waitFor();
    await page.getByText("Remind me", { exact: true }).click();
    await page.locator("textarea[name=text]").fill("Bins out");
    await page.getByRole("button", { name: "Create" }).click();
    await page.waitForURL(`${origin}/schedules/bins-out`);
    await page.getByRole("button", { name: "Run now" }).click();
    await page.waitForURL(`${origin}/runs/**`);
    await page.goto(`${origin}/schedules/bins-out`);
    await page.locator(".tick-rows li", { hasText: "by hand" }).locator("[data-status=completed]").waitFor();
    await page.getByRole("button", { name: "Edit" }).click();
    await page.locator("input[name=when]").fill("every friday at 18:00");
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".policy", { hasText: "0 18 * * 5" }).waitFor();
    await page.getByRole("button", { name: "Remove" }).click();
    await page.waitForURL(`${origin}/schedules`);
    await page.locator(".panel", { hasText: "bins-out" }).waitFor({ state: "detached" });
  });

  for (const [device, viewport] of [
    ["desk", { width: 1280, height: 800 }],
    ["phone", { width: 390, height: 844 }],
  ] as const) {
    test(`every page on a ${device}: named controls, one heading, no sideways scroll`, async () => {
      await page.setViewportSize(viewport);
      const paths = ["", "events", "events/refusals", "runs", "chat", "approvals", "issues", "schedules", "costs"];
      for (const path of [...paths, "capabilities", "settings", "nowhere"]) {
        await page.goto(`${origin}/${path}`);
        await page.locator("h1").waitFor();
        await page.waitForFunction(() => !document.querySelector(".skeleton"));
        assert.deepEqual(await page.evaluate(findFaults, device === "phone"), [], `/${path}`);
      }
      await page.setViewportSize({ width: 1280, height: 800 });
    });
  }

  test("of the tabs that a phone has no room for the chosen one is in sight", async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.goto(`${origin}/runs?status=queued`);
    const tab = page.locator(".tab[aria-pressed=true]", { hasText: "Queued" });
    await tab.waitFor();
    const { x, width } = (await tab.boundingBox())!;
    assert.ok(x >= 0 && x + width <= 390, `from ${x} to ${x + width}`);
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  test("signing out ends it", async () => {
    await page.goto(`${origin}/settings`);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL(`${origin}/login`);
  });

  test("nothing was refused by the content policy, and no script failed", () => {
    assert.deepEqual(complaints, []);
  });
});

/** The login link that a starting Daimon prints. */
function printedLink(started: ChildProcess): Promise<string> {
  return new Promise((done, fail) => {
    let said = "";
    const hear = (piece: Buffer) => {
      said += piece.toString();
      const found = said.match(/http\S+\/login#c=\S+/);
      if (found) done(found[0]);
    };
    started.stdout!.on("data", hear);
    started.stderr!.on("data", hear);
    started.once("exit", (code) => fail(new Error(`daimon ended with ${code}: ${said}`)));
  });
}

/** Runs in the page: sends a recorded event through the real door. */
async function sendSample(type: string): Promise<void> {
  await fetch("/api/samples", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ source: "github", type }),
  });
}
