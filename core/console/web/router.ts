import { signal } from "@preact/signals";

/** Where we are: the path and the query, kept in step with the address bar. */
export const place = signal({ path: "/", query: new URLSearchParams() });

/** Goes to an address of ours; `replace` leaves no entry in the history. */
export function go(address: string, options: { replace?: boolean } = {}): void {
  const before = location.pathname;
  if (options.replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  read();
  if (location.pathname === before) return;
  scrollTo(0, 0);
  if (!options.replace) document.getElementById("main")?.focus({ preventScroll: true });
}

/** Changes one name of the query in place; an empty value takes it away. */
export function setQuery(name: string, value: string): void {
  const query = new URLSearchParams(location.search);
  if (value) query.set(name, value);
  else query.delete(name);
  const text = query.toString();
  go(location.pathname + (text ? `?${text}` : ""), { replace: true });
}

/** Listens for Back, Forward and clicks on links to our own pages. */
export function startRouter(): void {
  addEventListener("popstate", read);
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.hash && link.pathname === location.pathname) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
  read();
}

function read(): void {
  place.value = {
    path: location.pathname.replace(/(.)\/$/, "$1"),
    query: new URLSearchParams(location.search),
  };
}
