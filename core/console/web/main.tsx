import type { ComponentType } from "preact";
import { render } from "preact";
import { useErrorBoundary } from "preact/hooks";
import { asApiError } from "./api.ts";
import { Approvals } from "./pages/approvals.tsx";
import { Capabilities } from "./pages/capabilities.tsx";
import { Chat } from "./pages/chat.tsx";
import { Costs } from "./pages/costs.tsx";
import { EventPage } from "./pages/event.tsx";
import { Events } from "./pages/events.tsx";
import { Home } from "./pages/home.tsx";
import { IssuePage } from "./pages/issue.tsx";
import { Issues } from "./pages/issues.tsx";
import { Login } from "./pages/login.tsx";
import { Refusals } from "./pages/refusals.tsx";
import { RunPage } from "./pages/run.tsx";
import { Runs } from "./pages/runs.tsx";
import { SchedulePage } from "./pages/schedule.tsx";
import { Schedules } from "./pages/schedules.tsx";
import { Settings } from "./pages/settings.tsx";
import { Empty, PageBody, Problem } from "./parts.tsx";
import { place, startRouter } from "./router.ts";
import { Shell, Toasts } from "./shell.tsx";
import { showTheme } from "./state.ts";

const PAGES: readonly (readonly [RegExp, ComponentType<{ id: string }>])[] = [
  [/^\/$/, Home],
  [/^\/events$/, Events],
  [/^\/events\/refusals$/, Refusals],
  [/^\/events\/([^/]+)$/, EventPage],
  [/^\/runs$/, Runs],
  [/^\/runs\/([^/]+)$/, RunPage],
  [/^\/chat(?:\/([^/]+))?$/, Chat],
  [/^\/approvals$/, Approvals],
  [/^\/issues$/, Issues],
  [/^\/issues\/([^/]+)$/, IssuePage],
  [/^\/schedules$/, Schedules],
  [/^\/schedules\/(.+)$/, SchedulePage],
  [/^\/costs$/, Costs],
  [/^\/capabilities$/, Capabilities],
  [/^\/settings$/, Settings],
];

function App() {
  const { path } = place.value;
  return (
    <>
      {path === "/login" ? (
        <Login />
      ) : (
        <Shell>
          <Current key={path.startsWith("/chat") ? "/chat" : path} path={path} />
        </Shell>
      )}
      <Toasts />
    </>
  );
}

function Current({ path }: { path: string }) {
  const [error] = useErrorBoundary((thrown) => console.error(thrown));
  if (error) {
    return (
      <PageBody title="This page broke">
        <Problem failure={{ ...asApiError(error), message: String(error), next: "Load the page again." }} />
      </PageBody>
    );
  }
  for (const [pattern, Page] of PAGES) {
    const match = path.match(pattern);
    const id = match && decode(match[1] ?? "");
    if (id !== null) return <Page id={id} />;
  }
  return (
    <PageBody title="Not found">
      <Empty icon="search" title="There is no such page.">
        <a href="/">Go to Home</a>
      </Empty>
    </PageBody>
  );
}

/** What a part of the address says; null when that cannot be read. */
function decode(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

showTheme();
startRouter();
render(<App />, document.getElementById("app")!);
