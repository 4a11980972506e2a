import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { renderMarkdown } from "./markdown.ts";

/** The Markdown reader comes in a file of its own, so that the first page does not wait for it. */
const render = signal<typeof renderMarkdown | null>(null);
let asked = false;

/** Fetches the Markdown reader ahead of its first use. */
export function fetchMarkdown(): void {
  if (asked) return;
  asked = true;
  import("./markdown.ts").then(
    (module) => {
      render.value = module.renderMarkdown;
    },
    () => {
      asked = false;
    },
  );
}

/** A text in Markdown; as it was written until the reader is there. */
export function Prose({ text, name = "" }: { text: string; name?: string }) {
  fetchMarkdown();
  const reader = render.value;
  const content = useMemo(() => (reader ? reader(text) : <pre class="plain">{text}</pre>), [reader, text]);
  return <div class={`prose ${name}`}>{content}</div>;
}
