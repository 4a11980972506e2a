import { Icon, type IconName } from "./icons.tsx";
import { place } from "./router.ts";
import { status } from "./state.ts";

export interface NavItem {
  readonly href: string;
  readonly text: string;
  readonly icon: IconName;
  /** The letter that leads there after `g`. */
  readonly key: string;
}

/** Every page; the first four stand in the phone's bar. */
export const NAV: readonly NavItem[] = [
  { href: "/", text: "Home", icon: "home", key: "h" },
  { href: "/events", text: "Events", icon: "events", key: "e" },
  { href: "/runs", text: "Runs", icon: "runs", key: "r" },
  { href: "/chat", text: "Chat", icon: "chat", key: "c" },
  { href: "/approvals", text: "Approvals", icon: "approvals", key: "a" },
  { href: "/issues", text: "Issues", icon: "issues", key: "i" },
  { href: "/schedules", text: "Schedules", icon: "schedules", key: "s" },
  { href: "/costs", text: "Costs", icon: "costs", key: "o" },
  { href: "/capabilities", text: "Capabilities", icon: "capabilities", key: "p" },
  { href: "/settings", text: "Settings", icon: "settings", key: "t" },
];

/** Whether the page that is shown is, or lies below, this one. */
export function isHere(item: NavItem): boolean {
  return item.href === "/" ? place.value.path === "/" : place.value.path.startsWith(item.href);
}

/** What of a page asks for the owner, and in which words. */
function waitingAt(item: NavItem): readonly [count: number, words: string] {
  if (item.href === "/approvals") return [status.value?.approvals ?? 0, "waiting for your answer"];
  if (item.href === "/issues") return [status.value?.issues ?? 0, "open"];
  return [0, ""];
}

/** A link to a page, with how much waits there. */
export function NavLink({ item, apart }: { item: NavItem; apart?: boolean }) {
  const [waiting, words] = waitingAt(item);
  return (
    <a class={`nav${apart ? " apart" : ""}`} href={item.href} aria-current={isHere(item) ? "page" : undefined}>
      <Icon name={item.icon} />
      <span>{item.text}</span>
      {waiting > 0 && (
        <b class="badge" title={`${waiting} ${words}`}>
          {waiting}
        </b>
      )}
    </a>
  );
}

/** How much asks for the owner on the pages that are not in the phone's bar. */
export function waitingInMore(): number {
  return NAV.slice(4).reduce((sum, item) => sum + waitingAt(item)[0], 0);
}
