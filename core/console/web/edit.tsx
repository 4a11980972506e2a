import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type EventDetail, request } from "./api.ts";
import { findJsonProblem } from "./json-problem.ts";
import { Button, Panel } from "./parts.tsx";
import { go } from "./router.ts";
import { attempt } from "./state.ts";

/** An event's data to be changed, and replayed as an event of its own. */
export function EditReplay({ event, onClose }: { event: EventDetail; onClose: () => void }) {
  const before = JSON.stringify(event.data, null, 2);
  const text = useSignal(before);
  const area = useRef<HTMLTextAreaElement>(null);
  const problem = findJsonProblem(text.value);
  useEffect(() => area.current?.focus(), []);
  const show = () => {
    area.current?.focus();
    area.current?.setSelectionRange(problem!.at, problem!.at + 1);
  };
  const replay = () =>
    attempt(async () => {
      const body = { data: JSON.parse(text.value) };
      const { eventId } = await request<{ eventId: string }>("POST", `/api/events/${event.id}/replays`, body);
      go(`/events/${eventId}`);
    }, "Replayed with what you changed, as an event of its own.");
  return (
    <Panel
      title="Edit and replay"
      aside={<span>The event stays as it came; this makes a new one, no more trusted.</span>}
    >
      <textarea
        ref={area}
        class="field editor"
        aria-label="Data"
        aria-invalid={problem !== null}
        spellcheck={false}
        rows={Math.min(24, before.split("\n").length + 2)}
        value={text.value}
        onInput={(typed) => (text.value = typed.currentTarget.value)}
      />
      <div class="editor-foot">
        <p role="status">
          {problem ? (
            <span class="bad">
              <button type="button" class="link" onClick={show}>
                Line {problem.line}, column {problem.column}
              </button>
              : {problem.message}.
            </span>
          ) : (
            <span class="faint">{text.value === before ? "Nothing is changed yet." : "This is JSON."}</span>
          )}
        </p>
        <div class="actions">
          <Button onPress={onClose}>Cancel</Button>
          <Button kind="primary" icon="retry" disabled={problem !== null} onPress={replay}>
            Replay with this
          </Button>
        </div>
      </div>
    </Panel>
  );
}
