import type { ComponentChildren } from "preact";
import { Pairs } from "./figures.tsx";
import { plural } from "./format.ts";

const MANY = 200;

/** Any JSON value as a tree that folds. Everything in it is text. */
export function Json({ value, open = 2 }: { value: unknown; open?: number }) {
  return (
    <div class="json">
      <Value value={value} open={open} />
    </div>
  );
}

/** The same, unfolded where a path of `marks` (`data.items[].price`, `data.labels.*`) leads, and that one marked. */
export function MarkedJson({ value, marks }: { value: unknown; marks: readonly string[] }) {
  const patterns = marks.map((mark) => mark.split(/(?=\[\])|\./));
  return (
    <div class="json">
      <Value value={value} open={1} marks={patterns} path={["data"]} />
    </div>
  );
}

interface ValueProps {
  readonly value: unknown;
  readonly open: number;
  readonly name?: string;
  readonly marks?: readonly (readonly string[])[];
  readonly path?: readonly string[];
}

/** How a path stands to the marks: it is one, it leads to one, or neither. */
function standing({ marks = [], path = [] }: ValueProps): "marked" | "leads" | null {
  const along = marks.filter((mark) => path.every((part, place) => mark[place] === part || mark[place] === "*"));
  if (along.some((mark) => mark.length === path.length)) return "marked";
  return along.some((mark) => mark.length > path.length) ? "leads" : null;
}

/** The exact input of an action: each name with its whole value, long texts as they are. */
export function Fields({ value }: { value: unknown }) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return <Json value={value} open={9} />;
  return (
    <Pairs
      class="fields"
      of={Object.entries(value).map(([name, one]) => [
        name,
        typeof one === "string" ? <pre class="plain">{one}</pre> : <Json value={one} open={9} />,
      ])}
    />
  );
}

function Value(props: ValueProps) {
  const { value, open, name } = props;
  const mark = standing(props);
  const line = mark === "marked" ? "json-line json-marked" : "json-line";
  const list = Array.isArray(value);
  const [before, after] = list ? ["[", "]"] : ["{", "}"];
  const scalar = value === null || typeof value !== "object";
  const entries = scalar ? [] : Object.entries(value);
  if (entries.length === 0) {
    return (
      <div class={line}>
        <Name name={name} />
        {scalar ? <Scalar value={value} /> : before + after}
      </div>
    );
  }
  return (
    <details open={open > 0 || mark === "leads"}>
      <summary class={mark === "marked" ? "json-marked" : undefined}>
        <Name name={name} />
        {before}
        <span class="json-folded">
          {list
            ? plural(entries.length, "item")
            : entries
                .slice(0, 4)
                .map(([key]) => key)
                .join(", ")}
          {!list && entries.length > 4 ? ", …" : ""} {after}
        </span>
      </summary>
      <div class="json-inside">
        {entries.slice(0, MANY).map(([key, one]) => (
          <Value
            key={key}
            value={one}
            open={open - 1}
            {...(list ? {} : { name: key })}
            {...(props.marks ? { marks: props.marks, path: [...(props.path ?? []), list ? "[]" : key] } : {})}
          />
        ))}
        {entries.length > MANY && <div class="json-line faint">… {entries.length - MANY} more</div>}
      </div>
      <div class="json-line">{after}</div>
    </details>
  );
}

function Name({ name }: { name: string | undefined }): ComponentChildren {
  return name === undefined ? null : (
    <>
      <span class="json-name">{name}</span>
      {": "}
    </>
  );
}

function Scalar({ value }: { value: unknown }) {
  if (typeof value === "string") return <span class="json-string">{JSON.stringify(value)}</span>;
  return <span class="json-scalar">{String(value)}</span>;
}
