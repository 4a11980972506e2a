import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { RawRequest } from "../define/event.ts";
import { readPidFile } from "../store/embedded/leftovers.ts";
import { dataOf, endAtOnce } from "./embedded.ts";
import { type DaimonProcess, readServer, type System } from "./system.ts";

export interface Kill {
  readonly at: number;
  readonly what: string;
  readonly pid: number;
}

/** Each role as a process of its own, started again whenever it ends, as systemd would. */
export function superviseRoles(system: System, roles: readonly string[] = ["web", "worker", "clock"]) {
  const current = new Map<string, DaimonProcess>();
  const told = { starts: 0, brokenStarts: [] as string[], deaths: [] as string[] };
  const killed = new Set<number>();
  let over = false;
  const supervise = async (role: string) => {
    while (!over) {
      const daimon = system.launch(role);
      told.starts++;
      current.set(role, daimon);
      const ready = await daimon.ready.then(
        () => true,
        (error) => {
          if (!killed.has(daimon.pid)) told.brokenStarts.push(String(error));
          return false;
        },
      );
      while (!daimon.ended()) await sleep(10);
      const { code, signal } = daimon.ended()!;
      if (ready && !over && !killed.has(daimon.pid))
        told.deaths.push(`${role} ended with ${code ?? signal}: ${daimon.complaint}`);
      if (!ready) await sleep(100);
    }
  };
  const loops = roles.map((role) => supervise(role).catch(() => {}));
  return {
    told,
    current: (role: string) => current.get(role)!,
    async kill(role: string): Promise<Kill | undefined> {
      const daimon = current.get(role)!;
      if (daimon.ended()) return undefined;
      killed.add(daimon.pid);
      await daimon.kill();
      return { at: Date.now(), what: role, pid: daimon.pid };
    },
    async stop() {
      over = true;
      const codes = await Promise.all([...current.values()].map((daimon) => daimon.stop()));
      await Promise.all(loops);
      return codes;
    },
  };
}

/** kill -9 of the postmaster, if one is there. */
export function killPostgres(home: string): Kill | undefined {
  const file = readPidFile(dataOf(home));
  if (!file || !existsSync(`/proc/${file.pid}`)) return undefined;
  endAtOnce(file.pid);
  return { at: Date.now(), what: "postgres", pid: file.pid };
}

/**
 * Sends one delivery as its sender would: again and again, made anew for the server's address, until it is acked.
 * Fails at any other answer than 503, and when it is `over`.
 */
export async function deliver(
  home: string,
  make: (base: string) => RawRequest,
  counts: { refused: number; over: boolean },
): Promise<{ status: number; id: string }> {
  for (;;) {
    let what = "the address was not known";
    try {
      const { url: base } = readServer(home);
      const { method, url, headers, body } = make(base);
      what = url;
      const signal = AbortSignal.timeout(10_000);
      const answer = await fetch(base + url, { method, headers, body: Buffer.from(body), signal });
      const text = await answer.text();
      const { status } = answer;
      if (answer.ok) return { status, id: answer.headers.get("x-daimon-event") ?? JSON.parse(text).id };
      assert.equal(status, 503, `${url}: ${text}`);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
    }
    assert.ok(!counts.over, `a delivery was not acked: ${what}`);
    counts.refused++;
    await sleep(200);
  }
}
