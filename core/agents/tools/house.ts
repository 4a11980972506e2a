import { DaimonError } from "../../base/errors.ts";
import type { Tool } from "../../define/tool.ts";
import type { RegisteredTool } from "../toolbox.ts";

/** A tool of the house: it has no secrets. */
export function house(tool: Tool<never>): RegisteredTool {
  return {
    tool,
    capability: "daimon",
    secret: (name) => {
      throw new DaimonError("secret.undeclared", `${tool.name} has no secret ${name}.`);
    },
  };
}
