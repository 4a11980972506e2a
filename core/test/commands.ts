/**
 * Many command lines in one process: each line of stdin is the words of one, as JSON, and each line of stdout what came of
 * it. So a test can give hundreds of commands without a start for each.
 */
import { createInterface } from "node:readline";
import { runCli } from "../cli/cli.ts";

const write = process.stdout.write.bind(process.stdout);

for await (const line of createInterface({ input: process.stdin })) {
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    process[name].write = (text: string | Uint8Array) => {
      said[name] += String(text);
      return true;
    };
  }
  const code = await runCli(JSON.parse(line), { start: () => Promise.reject(new Error("Not here.")) });
  write(`${JSON.stringify({ code, ...said })}\n`);
}
