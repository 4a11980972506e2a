import { NAV } from "./nav.tsx";
import { go } from "./router.ts";
import { dialog } from "./state.ts";

/** What the help dialog lists. */
export const KEYS: readonly (readonly [string, string])[] = [
  ["Ctrl K", "Go to, search, do"],
  ...NAV.map((item) => [`g ${item.key}`, item.text] as const),
  ["j  k", "Next, previous in a list"],
  ["Enter", "Open"],
  ["/", "Search the list"],
  ["?", "These keys"],
  ["Esc", "Close"],
];

/** Hears the keys of the whole console; returns how to stop. Typing in a field is left alone. */
export function startKeys(): () => void {
  let awaitsJump = 0;
  const press = (event: KeyboardEvent) => {
    if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      dialog.value = dialog.value === "palette" ? null : "palette";
      return;
    }
    const target = event.target instanceof Element ? event.target : document.body;
    if (event.metaKey || event.ctrlKey || event.altKey || dialog.value) return;
    if (target.closest("input, textarea, select, [contenteditable]")) return;
    if (awaitsJump > event.timeStamp) {
      awaitsJump = 0;
      const address = NAV.find((item) => item.key === event.key)?.href;
      if (address) {
        event.preventDefault();
        go(address);
        return;
      }
    }
    if (event.key === "g") awaitsJump = event.timeStamp + 1200;
    else if (event.key === "?") dialog.value = "help";
    else if (event.key === "j") walk(1);
    else if (event.key === "k") walk(-1);
    else if (event.key === "/") {
      const field = document.querySelector<HTMLInputElement>("main input[type=search]");
      if (field) {
        event.preventDefault();
        field.focus();
      }
    }
  };
  addEventListener("keydown", press);
  return () => removeEventListener("keydown", press);
}

/** Moves the focus to the next or previous row of the page. */
function walk(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>("main [data-row]")];
  const focused = document.activeElement;
  const at = focused instanceof HTMLElement ? rows.indexOf(focused) : -1;
  const row = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by];
  row?.focus();
  row?.scrollIntoView({ block: "nearest" });
}
