import assert from "node:assert/strict";
import { chmodSync, chownSync, lstatSync, mkdirSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { copyProject, dataOf, folderOf, isRoot, start, temporary } from "../../test/embedded.ts";

/** `daemon`, on every Unix. */
const ORDINARY = 1;
const NAMELESS = 64_999;

suite("the account that Postgres runs as", { concurrency: 3 }, () => {
  test("an ordinary user, with packages that belong to root and have no library links", async (t) => {
    if (!isRoot) return t.skip("the tests run as an ordinary user already; only root can be another");
    const folder = temporary(t);
    const root = copyProject(join(folder, "project"), false);
    const home = join(folder, "home");
    mkdirSync(home);
    chownSync(home, ORDINARY, ORDINARY);
    const one = await start(t, home, { root, uid: ORDINARY });
    assert.equal(one.first.started, "cold", JSON.stringify(one.first));
    assert.equal(statSync(dataOf(home)).uid, ORDINARY);
    assert.ok(lstatSync(join(folderOf(home), "lib/libpq.so.5")).isSymbolicLink());

    await t.test("root, who comes later, attaches, and starts it as its owner", async (t) => {
      const beside = await start(t, home);
      assert.equal(beside.first.started, "attached");
      await one.stop();
      await beside.stop();
      const alone = await start(t, home);
      assert.equal(alone.first.started, "warm", JSON.stringify(alone.first));
      await alone.stop();
      const back = await start(t, home, { root, uid: ORDINARY });
      assert.equal(back.first.started, "warm", JSON.stringify(back.first));
      await back.stop();
    });

    await t.test("another user is refused with a sentence", async (t) => {
      const { first } = await start(t, home, { root, uid: NAMELESS });
      assert.equal(first.code, "store.owner", JSON.stringify(first));
    });

    await t.test("a user without a name, as in a container", async (t) => {
      const other = join(folder, "other");
      mkdirSync(other);
      chownSync(other, NAMELESS, NAMELESS);
      const nameless = await start(t, other, { root, uid: NAMELESS });
      assert.equal(nameless.first.started, "cold", JSON.stringify(nameless.first));
      assert.equal(statSync(dataOf(other)).uid, NAMELESS);
      await nameless.stop();
    });
  });

  test("root, in a project below a 0700 home, without library links", async (t) => {
    if (!isRoot) return t.skip("needs root");
    const folder = temporary(t);
    chmodSync(folder, 0o700);
    const root = copyProject(join(folder, "project"), false);
    const one = await start(t, join(root, "home"), { root });
    assert.equal(one.first.started, "cold", JSON.stringify(one.first));
    assert.equal(statSync(dataOf(join(root, "home"))).uid, 0);
    await one.stop();
  });

  test("root where no user namespace can be had steps down to nobody", async (t) => {
    if (!isRoot) return t.skip("needs root");
    const folder = temporary(t);
    const root = copyProject(join(folder, "project"), true);
    const path = join(folder, "bin");
    mkdirSync(path);
    for (const name of ["test", "sh"]) symlinkSync(`/usr/bin/${name}`, join(path, name));
    const home = join(root, "home");
    mkdirSync(home, { mode: 0o700 });
    const one = await start(t, home, { root, path });
    assert.equal(one.first.started, "cold", JSON.stringify(one.first));
    assert.equal(statSync(dataOf(home)).uid, 65_534);
    await one.stop();
    const again = await start(t, home, { root });
    assert.equal(again.first.started, "warm", "with namespaces too: the data keeps its owner");
    await again.stop();

    await t.test("and says so where nobody cannot reach the folder", async (t) => {
      chmodSync(folder, 0o700);
      const { first } = await start(t, join(root, "other"), { root, path });
      assert.equal(first.code, "store.root", JSON.stringify(first));
      assert.match(first.next ?? "", /ordinary user/);
    });
  });
});
