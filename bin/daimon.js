#!/usr/bin/env node
// The launcher: plain JavaScript for whatever Node is on PATH. Daimon itself is TypeScript that Node 24 runs as
// it is; on an older Node this file starts itself again on the Node 24 that `npm ci` brought. See design.md 5.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(import.meta.url);
const modules = fileURLToPath(new URL("../node_modules", import.meta.url));
const bundled = `${modules}/node/bin/node`;
const isNewEnough = Number.parseInt(process.versions.node, 10) >= 24;

if (!existsSync(modules)) {
  stop("Daimon's packages are not installed: run `npm ci` first, in the folder of its package.json.");
} else if (isNewEnough) {
  await runHere();
} else if (!existsSync(bundled)) {
  stop(`Daimon needs Node 24, and this is ${process.version}: run \`npm ci\` again, which brings Node 24 along.`);
} else if (process.execve) {
  process.execve(bundled, [bundled, here, ...process.argv.slice(2)], process.env);
} else {
  runBundled();
}

/** @param {string} sentence */
function stop(sentence) {
  console.error(sentence);
  process.exitCode = 1;
}

async function runHere() {
  // What was compiled once is kept: a third of the time to start.
  module.enableCompileCache?.(`${modules}/.cache/daimon`);
  process.removeAllListeners("warning").on("warning", (warning) => {
    if (warning.name !== "ExperimentalWarning") console.error(`${warning.name}: ${warning.message}`);
  });
  if (process.channel) {
    // The launcher above us is gone, by kill -9 perhaps: nobody could stop us any more.
    process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
    process.channel.unref();
  }
  try {
    await import("../core/main.ts");
  } catch (error) {
    const missing = error.code === "ERR_MODULE_NOT_FOUND" && /Cannot find package '[^']+'/.exec(error.message);
    if (!missing) throw error;
    stop(`${missing[0]}: Daimon's packages are not all installed. Run \`npm ci\` first.`);
  }
}

function runBundled() {
  const child = spawn(bundled, [here, ...process.argv.slice(2)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the child as well.
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.once("error", (error) => stop(`Node 24 does not start: ${error.message}`));
  child.once("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}
