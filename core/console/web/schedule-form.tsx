import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type ApiError, asApiError, type Page, request, type Schedule, type ScheduleForecast } from "./api.ts";
import { dayAndTime } from "./format.ts";
import { Button, Problem } from "./parts.tsx";
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
  const asks = useSignal(of ? of.agent !== null : true);
  const agent = useSignal(of?.agent ?? "default");
  const when = useSignal(of?.cron ?? "");
  const place = useSignal(of?.zone ?? zone.value);
  const policy = useSignal({
    ...{ catchup: of?.catchup ?? "one", overlap: of?.overlap ?? "skip", window: of?.window ?? "" },
    ...{ jitter: of?.jitter ?? "", after: String(of?.onFailure.after ?? 1) },
  });
  const preview = usePreview(when.value, place.value);
  const set = (change: Partial<typeof policy.value>) => {
    policy.value = { ...policy.value, ...change };
  };
  const save = (form: HTMLFormElement) =>
    attempt(async () => {
      const data = new FormData(form);
      const { catchup, overlap, window, jitter, after } = policy.value;
      const wish = {
        ...(when.value.trim() ? { when: when.value } : {}),
        ...{
          text: String(data.get("text")),
          agent: asks.value ? agent.value : null,
          zone: place.value,
          catchup,
          overlap,
        },
        ...(window.trim() ? { window } : {}),
        ...{ jitter: jitter.trim() || "0s", onFailure: { after: Number(after) } },
      };
      const made = of
        ? await request<Schedule>("PATCH", `/api/schedules/${encodeURIComponent(of.name)}`, wish)
        : await request<Schedule>("POST", "/api/schedules", wish);
      toast("good", of ? `${made.name} is changed.` : `${made.name} is made.`);
      onDone();
      if (!of) go(`/schedules/${encodeURIComponent(made.name)}`);
    });

  return (
    <form
      class="schedule-form"
      onSubmit={(event) => {
        event.preventDefault();
        void save(event.currentTarget);
      }}
    >
      <fieldset class="segments">
        <legend class="hidden">What it does</legend>
        {([true, false] as const).map((each) => (
          <label key={String(each)}>
            <input
              type="radio"
              name="kind"
              checked={asks.value === each}
              onChange={() => {
                asks.value = each;
              }}
            />
            <span>{each ? "Ask an agent" : "Remind me"}</span>
          </label>
        ))}
      </fieldset>
      <label class="labeled">
        <span>When</span>
        <input
          class="field"
          name="when"
          required={!of}
          autocomplete="off"
          placeholder="every tuesday at 9:00 · tomorrow at 9 · in 20 minutes · 0 9 * * 2"
          value={when.value}
          onInput={(event) => {
            when.value = event.currentTarget.value;
          }}
        />
      </label>
      <Forecast preview={preview.data} error={when.value.trim() ? preview.error : null} />
      <label class="labeled">
        <span>{asks.value ? "What the agent is asked" : "What you are told"}</span>
        <textarea class="field" name="text" required rows={3} value={of?.text ?? ""} />
      </label>
      <div class="labeled-row">
        {asks.value && (
          <WordChoice
            label="Agent"
            words={Object.fromEntries((agents.data?.items ?? [{ name: agent.value }]).map(({ name }) => [name, name]))}
            value={agent.value}
            onPick={(name) => {
              agent.value = name;
            }}
          />
        )}
        <label class="labeled">
          <span>Time zone</span>
          <input
            class="field"
            value={place.value}
            required
            onInput={(event) => {
              place.value = event.currentTarget.value;
            }}
          />
        </label>
      </div>
      <details class="more-fields">
        <summary>Missed and overlapping ticks, failures</summary>
        <div class="labeled-row">
          <WordChoice
            label="A missed tick"
            words={MISSED}
            value={policy.value.catchup}
            onPick={(catchup) => set({ catchup, window: "" })}
          />
          <TextField
            label="At most so late"
            value={policy.value.window}
            placeholder={{ none: "1m", one: "7d", all: "24h" }[policy.value.catchup]}
            onInput={(window) => set({ window })}
          />
          <WordChoice
            label="The run before is not finished"
            words={OVERLAP}
            value={policy.value.overlap}
            onPick={(overlap) => set({ overlap })}
          />
          <TextField
            label="Jitter"
            value={policy.value.jitter}
            placeholder="0s"
            onInput={(jitter) => set({ jitter })}
          />
          <TextField
            label="Tell me after failures in a row"
            value={policy.value.after}
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
    </form>
  );
}

function TextField(props: { label: string; value: string; placeholder: string; onInput: (value: string) => void }) {
  return (
    <label class="labeled">
      <span>{props.label}</span>
      <input
        class="field"
        autocomplete="off"
        placeholder={props.placeholder}
        value={props.value}
        onInput={(event) => props.onInput(event.currentTarget.value)}
      />
    </label>
  );
}

function WordChoice<Word extends string>(props: {
  label: string;
  words: Readonly<Record<Word, string>>;
  value: Word;
  onPick: (word: Word) => void;
}) {
  return (
    <label class="labeled">
      <span>{props.label}</span>
      <select class="field" value={props.value} onChange={(event) => props.onPick(event.currentTarget.value as Word)}>
        {(Object.keys(props.words) as Word[]).map((word) => (
          <option key={word} value={word}>
            {props.words[word]}
          </option>
        ))}
      </select>
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
            {dayAndTime(new Date(at), zone.value)}
            {preview.zone !== zone.value && <span class="faint"> · {there(new Date(at), preview.zone)} there</span>}
          </li>
        ))}
      </ol>
      {preview.note && <p class="next">{preview.note}</p>}
      {preview.clockChange && <p class="faint">{preview.clockChange}</p>}
    </div>
  );
}

/** A time in another zone; its day only where that is another. */
function there(at: Date, place: string): string {
  const [day, time] = dayAndTime(at, place).split(", ");
  return dayAndTime(at, zone.value).startsWith(day!) ? time! : `${day}, ${time}`;
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
