/** A real Chromium for tests of the console. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from "playwright-core";
import type { System } from "./system.ts";

const CHROMIUM = [
  process.env.CHROMIUM_PATH,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/snap/bin/chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  chromium.executablePath(),
].find((path) => path && existsSync(path));
const ARGUMENTS =
  "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";

/** Why tests in a browser are skipped; false when there is one. */
export const skip = CHROMIUM ? false : "no Chromium was found: install one, or set CHROMIUM_PATH";

/** A skipped suite counts as nothing; a skipped test is counted and named. */
export const suite = CHROMIUM ? describe : test;

export const launchBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: CHROMIUM!, args: ARGUMENTS.split(" ") });

/** What must never happen on any page: script errors, refused content, failed requests. */
export const complaints: string[] = [];

export async function textIn(locator: Locator): Promise<string> {
  return (await locator.allInnerTexts()).join("\n");
}

/** A page whose complaints are heard. */
export async function watchedPage(inside: BrowserContext): Promise<Page> {
  const made = await inside.newPage();
  made.on("pageerror", (error) => complaints.push(`${made.url()} ${error.message}`));
  made.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(`${made.url()} ${message.text()}`);
  });
  await made.addInitScript(() =>
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`refused by ${event.violatedDirective}: ${event.blockedURI}`),
    ),
  );
  return made;
}

/** The console in a browser of its own, signed in, at its first page. */
export async function signedInPage(t: TestContext, system: Pick<System, "daimon">): Promise<Page> {
  const browser = await launchBrowser();
  t.after(() => browser.close());
  const page = await watchedPage(await browser.newContext({ viewport: DESK }));
  const { url } = await system.daimon<{ url: string }>("login");
  await page.goto(url);
  await page.getByText("First five minutes").waitFor();
  return page;
}

const DESK = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

/** Fails when the page has a fault on a desk or on a phone, in light or dark. With SHOTS=<folder> it is pictured there. */
export async function assertNoFaults(page: Page, name: string): Promise<void> {
  for (const phone of [false, true]) {
    await page.setViewportSize(phone ? PHONE : DESK);
    for (const colorScheme of ["dark", "light"] as const) {
      await page.emulateMedia({ colorScheme });
      const path = join(process.env.SHOTS ?? "", `${name}-${colorScheme}-${phone ? "phone" : "desk"}.png`);
      if (process.env.SHOTS) await page.screenshot({ path, fullPage: true });
      assert.deepEqual(await page.evaluate(findFaults, phone), [], `${name}, ${colorScheme}`);
    }
  }
  await page.setViewportSize(DESK);
}

/** Runs in the page: what a person with a screen reader, a keyboard or a thumb would trip over. */
export function findFaults(phone: boolean): string[] {
  const faults: string[] = [];
  const shown = (element: Element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const all = (selector: string) => [...document.querySelectorAll<HTMLElement>(selector)].filter(shown);
  const describe = (element: Element) => element.outerHTML.slice(0, 100);
  for (const element of all("a, button, input, select, textarea, summary")) {
    const labels = "labels" in element ? [...((element as HTMLInputElement).labels ?? [])] : [];
    const name =
      element.getAttribute("aria-label") ||
      element.textContent?.trim() ||
      labels.map((one) => one.textContent).join("");
    if (!name) faults.push(`no name: ${describe(element)}`);
    // A tenth may be missing: positions are rounded.
    const height = Math.round(element.getBoundingClientRect().height * 10) / 10;
    const control = element.matches(".button, .nav, .field, .row, .tab, textarea");
    if (phone && control && !element.closest(".top, .command, .id-copy, .facts") && height < 44) {
      faults.push(`${height} px: ${describe(element)}`);
    }
    if (phone && element.matches("input, textarea") && Number.parseFloat(getComputedStyle(element).fontSize) < 16) {
      faults.push(`small text: ${describe(element)}`);
    }
  }
  if (all("h1").length !== 1) faults.push(`${all("h1").length} h1`);
  let level = 1;
  for (const heading of all("h1, h2, h3, h4")) {
    const here = Number(heading.tagName[1]);
    if (here > level + 1) faults.push(`h${level} then h${here}: ${describe(heading)}`);
    level = here;
  }
  if (all("main").length !== 1) faults.push("not one main");
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  if (new Set(ids).size !== ids.length) faults.push("an id twice");
  if (document.documentElement.scrollWidth > innerWidth) faults.push("scrolls sideways");
  return faults;
}
