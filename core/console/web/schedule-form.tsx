import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type ApiError, asApiError, type Page, request, type Schedule, type ScheduleForecast } from "./api.ts";
import { scheduleUrl } from "./deeds.ts";
import { dayAndTime } from "./format.ts";
import { now } from "./live.ts";
import { Button, Choice, Form, ownDayAndTime, Problem } from "./parts.tsx";
import { useQuery } from "./query.ts";
import { go } from "./router.ts";
import { attempt, toast, zone } from "./state.ts";

const MISSED = {
  one: "make up the latest",
  all: "make up all, one after another",
  none: "make up none",
};
const OVERLAP = {
  skip: "skip the new one",
  queue: "queue one behind it",
  allow: "run beside it",
  cancel: "cancel the older run",
};

/** Makes a schedule, or changes one; shows when it would come while it is written. */
export function ScheduleForm({ of, onDone }: { of?: Schedule; onDone: () => void }) {
  const agents = useQuery<Page<{ name: string }>>("/api/agents");
  const form = useSignal({
    asks: of?.agent !== null,
    agent: of?.agent ?? "default",
    when: of?.cron ?? "",
    text: of?.text ?? "",
    place: of?.zone ?? zone.value,
    catchup: of?.catchup ?? "one",
    window: of?.window ?? "",
    overlap: of?.overlap ?? "skip",
    jitter: of?.jitter ?? "",
    after: String(of?.onFailure.after ?? 1),
  });
  const { asks, agent, when, text, place, catchup, window, overlap, jitter, after } = form.value;
  const set = (change: Partial<typeof form.value>) => {
    form.value = { ...form.value, ...change };
  };
  const preview = usePreview(when, place);
  const save = () =>
    attempt(async () => {
      const wish = {
        ...(when.trim() ? { when } : {}),
        ...(window.trim() ? { window } : {}),
        ...{ text, agent: asks ? agent : null, zone: place, catchup, overlap },
        ...{ jitter: jitter.trim() || "0s", onFailure: { after: Number(after) } },
      };
      const made = of
        ? await request<Schedule>("PATCH", scheduleUrl(of.name), wish)
        : await request<Schedule>("POST", "/api/schedules", wish);
      toast("good", of ? `${made.name} is changed.` : `${made.name} is made.`);
      onDone();
      if (!of) go(`/schedules/${encodeURIComponent(made.name)}`);
    });

  return (
    <Form class="schedule-form" onSend={save}>
      <fieldset class="segments">
        <legend class="hidden">What it does</legend>
        {([true, false] as const).map((each) => (
          <label key={String(each)}>
            <input type="radio" name="kind" checked={asks === each} onChange={() => set({ asks: each })} />
            <span>{each ? "Ask an agent" : "Remind me"}</span>
          </label>
        ))}
      </fieldset>
      <TextField
        label="When"
        name="when"
        required={!of}
        placeholder="every tuesday at 9:00 · tomorrow at 9 · in 20 minutes · 0 9 * * 2"
        value={when}
        onInput={(when) => set({ when })}
      />
      <Forecast preview={preview.data} error={when.trim() ? preview.error : null} />
      <label class="labeled">
        <span>{asks ? "What the agent is asked" : "What you are told"}</span>
        <textarea
          class="field"
          name="text"
          required
          rows={3}
          value={text}
          onInput={(event) => set({ text: event.currentTarget.value })}
        />
      </label>
      <div class="labeled-row">
        {asks && (
          <WordChoice
            label="Agent"
            options={(agents.data?.items ?? [{ name: agent }]).map(({ name }) => name)}
            value={agent}
            onPick={(agent) => set({ agent })}
          />
        )}
        <TextField label="Time zone" required value={place} onInput={(place) => set({ place })} />
      </div>
      <details class="more-fields">
        <summary>Missed and overlapping ticks, failures</summary>
        <div class="labeled-row">
          <WordChoice
            label="A missed tick"
            options={MISSED}
            value={catchup}
            onPick={(catchup) => set({ catchup, window: "" })}
          />
          <TextField
            label="At most so late"
            value={window}
            placeholder={{ none: "1m", one: "7d", all: "24h" }[catchup]}
            onInput={(window) => set({ window })}
          />
          <WordChoice
            label="The run before is not finished"
            options={OVERLAP}
            value={overlap}
            onPick={(overlap) => set({ overlap })}
          />
          <TextField label="Jitter" value={jitter} placeholder="0s" onInput={(jitter) => set({ jitter })} />
          <TextField
            label="Tell me after failures in a row"
            value={after}
            placeholder="1"
            onInput={(after) => set({ after })}
          />
        </div>
      </details>
      <div class="actions">
        <button class="button primary" type="submit">
          {of ? "Save" : "Create"}
        </button>
        <Button kind="quiet" onPress={onDone}>
          Cancel
        </Button>
      </div>
    </Form>
  );
}

interface TextFieldProps {
  readonly label: string;
  readonly value: string;
  readonly name?: string;
  readonly placeholder?: string;
  readonly required?: boolean;
  readonly onInput: (value: string) => void;
}

function TextField({ label, onInput, ...input }: TextFieldProps) {
  return (
    <label class="labeled">
      <span>{label}</span>
      <input class="field" autocomplete="off" {...input} onInput={(event) => onInput(event.currentTarget.value)} />
    </label>
  );
}

function WordChoice<Word extends string>(props: Parameters<typeof Choice<Word>>[0]) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the choice is one
    <label class="labeled">
      <span>{props.label}</span>
      <Choice {...props} />
    </label>
  );
}

/** When it comes: five times in the owner's zone (and in the schedule's, when that is another), and the clock change. */
export function Forecast({ preview, error }: { preview: ScheduleForecast | undefined; error?: ApiError | null }) {
  if (error) return <Problem failure={error} tone="warn" />;
  if (!preview) return null;
  return (
    <div class="forecast">
      <ol class="next-times">
        {preview.next.map((at) => (
          <li key={at}>
            {ownDayAndTime(at)}
            {preview.zone !== zone.value && <span class="faint"> · {there(at, preview.zone)} there</span>}
          </li>
        ))}
      </ol>
      {preview.note && <p class="next">{preview.note}</p>}
      {preview.clockChange && <p class="faint">{preview.clockChange}</p>}
    </div>
  );
}

/** A time in another zone; its day only where that is another. */
function there(at: string, place: string): string {
  const [day, time] = dayAndTime(new Date(at), place, now.value).split(", ");
  return ownDayAndTime(at).startsWith(day!) ? time! : `${day}, ${time}`;
}

/** What the API makes of the words, a moment after the last key. */
function usePreview(when: string, place: string) {
  const data = useSignal<ScheduleForecast | undefined>(undefined);
  const error = useSignal<ApiError | null>(null);
  useEffect(() => {
    let current = true;
    const timer = setTimeout(async () => {
      if (!when.trim()) {
        data.value = undefined;
        return;
      }
      try {
        const found = await request<ScheduleForecast>("POST", "/api/schedules/previews", { when, zone: place });
        if (!current) return;
        data.value = found;
        error.value = null;
      } catch (reason) {
        if (!current) return;
        data.value = undefined;
        error.value = asApiError(reason);
      }
    }, 300);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [when, place]);
  return { data: data.value, error: error.value };
}
