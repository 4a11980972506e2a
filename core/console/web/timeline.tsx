import { useSignal } from "@preact/signals";
import { Fragment } from "preact";
import { stepState } from "../../define/run.ts";
import type { Run, RunDetail, Step, StepDetail } from "./api.ts";
import { roundAbove } from "./charts.tsx";
import { Pairs } from "./figures.tsx";
import { clock, count, duration, money, plural, UNITS } from "./format.ts";
import { Icon, type IconName } from "./icons.tsx";
import { Fields, Json } from "./json.tsx";
import { now } from "./live.ts";
import { Empty, Panel, Problem, Status, toneOf } from "./parts.tsx";
import { zone } from "./state.ts";

const KIND_ICONS: Readonly<Record<string, IconName>> = {
  code: "runs",
  model: "chat",
  tool: "tool",
  sleep: "schedules",
  wait: "schedules",
  approval: "approvals",
  send: "up",
  emit: "events",
  hub: "capabilities",
};

/** The steps of a run on one axis of time. */
export function Timeline({ run }: { run: RunDetail }) {
  if (run.steps.length === 0) {
    return (
      <Panel title="Steps">
        <Empty icon="runs" title={run.startedAt ? "It has kept no step." : "It has not begun."}>
          <p>A step is a named checkpoint: once it is kept, it is never executed again.</p>
        </Empty>
      </Panel>
    );
  }
  const steps = [...run.steps].sort((one, other) => one.startedAt.localeCompare(other.startedAt));
  const begin = Math.min(Date.parse(run.startedAt ?? steps[0]!.startedAt), Date.parse(steps[0]!.startedAt));
  const ends = steps.map((step) => (step.finishedAt ? Date.parse(step.finishedAt) : now.value.getTime()));
  const isRunning = run.status === "running";
  const here = isRunning ? now.value.getTime() : 0;
  const end = Math.max(begin + 1, ...ends, run.finishedAt ? Date.parse(run.finishedAt) : here);
  const tick = tickOf(end - begin);
  const ticks = Array.from({ length: Math.ceil((end - begin) / tick) }, (_, index) => index * tick);
  return (
    <Panel title="Steps" aside={plural(steps.length, "step")} flush>
      <div class="axis" aria-hidden="true">
        <span class="axis-scale">
          {ticks.map((at) => (
            <i key={at} style={{ left: `${(at / (end - begin)) * 100}%` }}>
              {at === 0 ? "0" : duration(at)}
            </i>
          ))}
        </span>
      </div>
      <ol class="steps" style={{ "--tick": `${(tick / (end - begin)) * 100}%` }}>
        {steps.map((step, index) => {
          const scope = scopeOf(step, steps);
          return (
            <Fragment key={step.key}>
              {scope && scope !== (steps[index - 1] ? scopeOf(steps[index - 1]!, steps) : "") && (
                <li class="step-scope">{scope}</li>
              )}
              <StepRow step={step} scope={scope} run={run} begin={begin} length={end - begin} />
            </Fragment>
          );
        })}
        {isRunning && steps.every((step) => step.finishedAt) && (
          <li class="step-scope">
            <Status value="running" word="The next step is under way." />
          </li>
        )}
      </ol>
    </Panel>
  );
}

/** The round time in milliseconds by which the axis is marked, about five times. */
function tickOf(length: number): number {
  const [unit] = UNITS.find(([unit]) => length >= unit) ?? [1];
  return Math.max(1, unit * roundAbove(length / unit / 5));
}

function StepRow(props: { step: Step; scope: string; run: Run; begin: number; length: number }) {
  const { step, scope, run, begin, length } = props;
  const open = useSignal(step.status === "failed" && step.error?.message !== run.error?.message);
  const detail = (step.detail ?? {}) as StepDetail;
  const name = scope ? step.key.slice(scope.length + 1) : step.key;
  const from = Date.parse(step.startedAt);
  const to = step.finishedAt ? Date.parse(step.finishedAt) : now.value.getTime();
  const word = stepState(step, run);
  const tone = toneOf(word);
  return (
    <li class="step" data-tone={tone} data-kind={step.kind}>
      <button
        type="button"
        class="step-line"
        data-row
        aria-expanded={open.value}
        onClick={() => (open.value = !open.value)}
      >
        <span class={`step-name${scope ? " inner" : ""}`}>
          <Icon name={KIND_ICONS[step.kind] ?? "runs"} size={14} />
          <span class="name" title={step.key}>
            {name}
          </span>
          <span class="kind">{detail.tool && !name.startsWith(detail.tool) ? detail.tool : step.kind}</span>
        </span>
        <span class="step-state">
          <Status value={word} tone={tone} />
        </span>
        <span class="step-bar">
          <i
            style={{
              left: `${((from - begin) / length) * 100}%`,
              width: `${Math.max(0, (to - from) / length) * 100}%`,
            }}
          />
        </span>
        <span class="step-cost num">
          {step.usd > 0 && money(step.usd)}
          {detail.inputTokens !== undefined && (
            <span class="faint" title="Tokens in and out">
              {count((detail.inputTokens ?? 0) + (detail.cacheReadTokens ?? 0) + (detail.cacheWriteTokens ?? 0))} →{" "}
              {count(detail.outputTokens ?? 0)}
            </span>
          )}
        </span>
        <span class="step-took num">{duration(to - from)}</span>
        <Icon name="right" size={12} />
      </button>
      {open.value && <StepInside step={step} detail={detail} />}
    </li>
  );
}

/** The agent whose step this is: what stands before the last slash, when a model call stands there too. */
function scopeOf(step: Step, steps: readonly Step[]): string {
  const scope = step.key.slice(0, Math.max(0, step.key.lastIndexOf("/")));
  const asks = (one: Step) => one.kind === "model" && one.key.startsWith(`${scope}/`);
  return scope && steps.some(asks) ? scope : "";
}

function StepInside({ step, detail }: { step: Step; detail: StepDetail }) {
  const figures: [string, string][] = [
    ["Key", step.key],
    ["Began", clock(new Date(step.startedAt), zone.value)],
    ["Try", String(step.attempt)],
    ["Label", `${step.label.integrity} · ${step.label.privacy}`],
  ];
  if (detail.model)
    figures.push(["Model", `${detail.provider} ${detail.model}${detail.demo ? " (demo, no model)" : ""}`]);
  if (detail.inputTokens !== undefined) {
    figures.push(
      ["Prompt", `${count(detail.promptTokens ?? 0)} tokens`],
      ["In", `${count(detail.inputTokens)} tokens`],
      ["From the cache", `${count(detail.cacheReadTokens ?? 0)} tokens`],
      ["Into the cache", `${count(detail.cacheWriteTokens ?? 0)} tokens`],
      ["Out", `${count(detail.outputTokens ?? 0)} tokens`],
    );
  }
  if (step.usd > 0) figures.push(["Cost", money(step.usd)]);
  if (detail.effect) figures.push(["Effect", detail.effect]);
  if (detail.sink) figures.push(["Goes to", detail.sink]);
  const plain = step.kind !== "model" && step.kind !== "tool" && step.detail ? step.detail : undefined;
  return (
    <div class="step-inside">
      {step.error && <Problem failure={step.error} />}
      <Pairs class="small-figures num" of={figures} />
      {detail.input !== undefined && (
        <section>
          <h4>Input</h4>
          <Fields value={detail.input} />
        </section>
      )}
      {plain !== undefined && (
        <section>
          <h4>Detail</h4>
          <Json value={plain} />
        </section>
      )}
      {step.value !== null && step.value !== undefined && (
        <section>
          <h4>Kept value</h4>
          <Json value={step.value} open={3} />
        </section>
      )}
    </div>
  );
}
