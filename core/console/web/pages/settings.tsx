import { useSignal } from "@preact/signals";
import { type Check, type Page, request, type Token } from "../api.ts";
import { Button, Choice, Command, Form, PageBody, Panel, Pending, Status, Time } from "../parts.tsx";
import { useQuery } from "../query.ts";
import { attempt, setStopped, setTheme, signOut, status, theme } from "../state.ts";

export function Settings() {
  return (
    <PageBody title="Settings" actions={<Button onPress={signOut}>Sign out</Button>}>
      <Look />
      <OtherDevice />
      <StopSwitch />
      <Tokens />
      <Doctor />
    </PageBody>
  );
}

function Doctor() {
  const { data, error, reload } = useQuery<{ checks: Check[] }>("/api/doctor");
  return (
    <Panel title="Doctor" aside={<Button kind="quiet" icon="retry" label="Check again" onPress={reload} />} flush>
      {!data ? (
        <Pending error={error} lines={4} />
      ) : (
        <ul class="rows check-rows">
          {data.checks.map((check) => (
            <li key={check.name} class="row">
              <Status value={check.state} />
              <span class="row-main">
                <b>{check.name}</b> <span>{check.message}</span>
                {check.next && check.state !== "ok" && <span class="next">{check.next}</span>}
              </span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Tokens() {
  const { data, error, reload } = useQuery<Page<Token>>("/api/tokens");
  const made = useSignal("");
  const scope = useSignal("read");
  const create = (form: HTMLFormElement) =>
    attempt(async () => {
      const name = String(new FormData(form).get("name")).trim();
      const answer = await request<{ token: string }>("POST", "/api/tokens", { name, scope: scope.value });
      made.value = answer.token;
      form.reset();
      reload();
    });
  const revoke = (name: string) =>
    attempt(() => request("DELETE", `/api/tokens/${encodeURIComponent(name)}`).then(reload), `${name} is revoked.`);
  return (
    <Panel title="Tokens" aside={<span class="faint">for scripts and the command line</span>}>
      <Form class="inline-form" onSend={create}>
        <input
          class="field"
          name="name"
          required
          pattern="[a-z0-9][a-z0-9._\-]{0,49}"
          title="Small letters, digits, dots, underscores and dashes, at most 50"
          aria-label="Name of the token"
          placeholder="Name, such as backup"
        />
        <Choice
          label="What it may do"
          value={scope.value}
          options={["read", "write", "admin"]}
          onPick={(value) => (scope.value = value)}
        />
        <button class="button plain" type="submit">
          Create token
        </button>
      </Form>
      {made.value && (
        <div class="once" role="status">
          <p>Copy it now: it is shown once and kept nowhere.</p>
          <Command text={made.value} />
        </div>
      )}
      {!data ? (
        <Pending error={error} lines={2} />
      ) : data.items.length === 0 ? (
        <p class="faint">There is none.</p>
      ) : (
        <ul class="rows token-rows">
          {data.items.map((token) => (
            <li key={token.name} class="row">
              <span class="row-main">
                <b>{token.name}</b> <span class="kind">{token.scopes.join(" ")}</span>
              </span>
              <span class="faint">
                seen <Time at={token.seenAt} />, ends <Time at={token.expiresAt} />
              </span>
              {/^server \d+$/.test(token.name) ? (
                <span class="faint">the command line's own</span>
              ) : (
                <Button kind="quiet" onPress={() => revoke(token.name)}>
                  Revoke
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function OtherDevice() {
  const url = useSignal("");
  return (
    <Panel title="Another device">
      <p class="lead">A link that signs in once, within ten minutes. Whoever opens it is you.</p>
      {url.value ? (
        <Command text={url.value} />
      ) : (
        <Button
          onPress={() =>
            attempt(async () => {
              url.value = (await request<{ url: string }>("POST", "/api/logins")).url;
            })
          }
        >
          Make a link
        </Button>
      )}
    </Panel>
  );
}

function Look() {
  return (
    <Panel title="Look">
      <fieldset class="segments">
        <legend class="hidden">Colours</legend>
        {(["system", "light", "dark"] as const).map((name) => (
          <label key={name}>
            <input type="radio" name="theme" checked={theme.value === name} onChange={() => setTheme(name)} />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
    </Panel>
  );
}

function StopSwitch() {
  const stopped = status.value?.stopped ?? false;
  return (
    <Panel title="STOP" {...(stopped ? { tone: "bad" as const } : {})}>
      <p class="lead">
        {stopped
          ? "Everything is stopped. Events are still kept; their runs wait."
          : "Cancels running runs within a second; nothing new begins until you resume. Events are still kept."}
      </p>
      <Button
        kind={stopped ? "primary" : "danger"}
        icon={stopped ? "play" : "stop"}
        onPress={() => setStopped(!stopped)}
      >
        {stopped ? "Resume" : "Stop everything"}
      </Button>
    </Panel>
  );
}
