import type { IconName } from "./parts/icon.tsx";

/** The pages, in the order of the navigation. `g` and the letter go there. */
export interface Place { path: string; title: string; icon: IconName; key: string; says: string }

export const SECTIONS: { title: string; places: Place[] }[] = [
  {
    title: "",
    places: [{ path: "/", title: "Overview", icon: "overview", key: "o", says: "health, rates, latency, what changed lately" }],
  },
  {
    title: "Run",
    places: [
      { path: "/workers", title: "Workers", icon: "workers", key: "w", says: "who is connected, load, drain" },
      { path: "/functions", title: "Functions", icon: "functions", key: "f", says: "find, read, call" },
      { path: "/triggers", title: "Triggers", icon: "triggers", key: "t", says: "test HTTP, fire cron, emit events" },
      { path: "/queues", title: "Queues", icon: "queues", key: "q", says: "depth, age, dead letters" },
      { path: "/schedules", title: "Schedules", icon: "schedules", key: "d", says: "what runs in the next day" },
    ],
  },
  {
    title: "Observe",
    places: [
      { path: "/traces", title: "Traces", icon: "traces", key: "r", says: "calls across workers, in flight, slow, failed" },
      { path: "/logs", title: "Logs", icon: "logs", key: "l", says: "tail, filter, jump to the trace" },
      { path: "/metrics", title: "Metrics", icon: "metrics", key: "m", says: "any series over time" },
      { path: "/alerts", title: "Alerts", icon: "alerts", key: "a", says: "rules and what fires" },
      { path: "/flow", title: "Flow", icon: "flow", key: "v", says: "how functions and queues call each other" },
    ],
  },
  {
    title: "Data",
    places: [
      { path: "/state", title: "State", icon: "state", key: "s", says: "scopes, keys, edit" },
      { path: "/streams", title: "Streams", icon: "streams", key: "e", says: "live view of groups and items" },
      { path: "/channels", title: "Channels", icon: "channels", key: "h", says: "bytes between workers" },
    ],
  },
  {
    title: "Engine",
    places: [
      { path: "/configuration", title: "Configuration", icon: "configuration", key: "c", says: "effective options and stored entries" },
      { path: "/access", title: "Access", icon: "access", key: "x", says: "who is connected with which rights" },
    ],
  },
];

export const PLACES: Place[] = SECTIONS.flatMap((section) => section.places);
