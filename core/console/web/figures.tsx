import type { ComponentChildren } from "preact";
import type { Spend } from "./api.ts";
import { money } from "./format.ts";
import { Panel } from "./parts.tsx";

/** Names and what they stand for. */
export function Pairs(props: { class: string; of: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class={props.class}>
      {props.of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** One of a page's figures, and a word on it. */
export function Figure(props: { name: string; note?: ComponentChildren; wide?: boolean; children: ComponentChildren }) {
  return (
    <div class={props.wide ? "wide" : undefined}>
      <dt>{props.name}</dt>
      <dd class="num">{props.children}</dd>
      {props.note ? <dd class="faint">{props.note}</dd> : null}
    </div>
  );
}

/** A table whose first columns are words, and the others figures. */
export function Table(props: {
  words: readonly string[];
  figures: readonly string[];
  rows: readonly { readonly key: string; readonly cells: readonly ComponentChildren[] }[];
}) {
  const { words, figures, rows } = props;
  const names = [...words, ...figures];
  const side = (column: number) => (column < words.length ? undefined : "align-right");
  return (
    <table>
      <thead>
        <tr>
          {names.map((name, column) => (
            <th key={name} class={side(column)}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ key, cells }) => (
          <tr key={key}>
            {cells.map((cell, column) => (
              <td key={names[column]} class={side(column)}>
                {cell}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Spent of a limit, as a bar and as words. */
export function Meter({ value, limit, label }: { value: number; limit: number; label: string }) {
  const share = limit > 0 ? Math.min(1, value / limit) : 0;
  return (
    <div
      class="meter"
      role="img"
      aria-label={`${label}: ${money(value)} of ${money(limit)}`}
      data-tone={share >= 0.9 ? "bad" : share >= 0.7 ? "warn" : "info"}
    >
      <i style={{ width: `${value > 0 ? Math.max(1, share * 100) : 0}%` }} />
    </div>
  );
}

/** What was spent of a limit. */
export function SpendPanel({ title, of, aside }: { title: string; of: Spend; aside?: ComponentChildren }) {
  return (
    <Panel title={title} aside={aside}>
      <p class="big num">
        {money(of.usd)} <span class="faint">of {money(of.limitUsd)}</span>
      </p>
      <Meter value={of.usd} limit={of.limitUsd} label={title} />
    </Panel>
  );
}
