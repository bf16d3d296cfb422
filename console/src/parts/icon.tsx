/** Drawn for 16 px: one stroke, no fill. */
const PATHS = {
  overview: "M2.5 9.5l3-4 3 5 2.5-7 2.5 6",
  workers: "M2.5 3.5h11v4h-11zM2.5 9.5h11v3h-11zM5 5.5h.01M5 11h.01",
  functions: "M10.5 2.5c-2 0-2.6 1-2.9 3L6.5 11c-.3 1.6-.9 2.5-2.5 2.5M5 7h5.5",
  triggers: "M8.8 1.8L3.5 9h4l-.6 5.2L12.5 7h-4z",
  queues: "M2.5 4h11M2.5 8h8M2.5 12h5",
  schedules: "M8 2.5a5.5 5.5 0 100 11 5.5 5.5 0 000-11zM8 5v3.2l2.2 1.3",
  traces: "M2.5 3.5h7M4.5 6.5h6M6.5 9.5h4M8.5 12.5h5",
  logs: "M3 3.5h10M3 6.5h7M3 9.5h10M3 12.5h5",
  metrics: "M3 13V8M6.5 13V4M10 13V9.5M13.5 13V6",
  alerts: "M8 2.3a3.7 3.7 0 00-3.7 3.7c0 4-1.8 5-1.8 5h11s-1.8-1-1.8-5A3.7 3.7 0 008 2.3zM6.8 13.3a1.3 1.3 0 002.4 0",
  flow: "M2.5 3h4v3h-4zM9.5 10h4v3h-4zM9.5 3h4v3h-4zM6.5 4.5h3M4.5 6v5.5h5",
  state: "M8 2.5c3 0 5 .9 5 2s-2 2-5 2-5-.9-5-2 2-2 5-2zM3 4.5v7c0 1.100 2 2 5 2s5-.9 5-2v-7M3 8c0 1.100 2 2 5 2s5-.9 5-2",
  streams: "M2 5.500c2-2.500 4-2.500 6 0s4 2.500 6 0M2 10.500c2-2.500 4-2.500 6 0s4 2.500 6 0",
  channels: "M3 5.500h9.500M10 3l2.500 2.500L10 8M13 10.500H3.500M6 8l-2.500 2.500L6 13",
  configuration: "M2.500 4.500h6M11.500 4.500h2M2.500 11.500h2M7.500 11.500h6M10 3v3M6 10v3",
  access: "M8 2l5 2v4c0 3-2.200 5-5 6-2.800-1-5-3-5-6V4zM6 8l1.500 1.500L10.200 6.500",
  search: "M7 2.500a4.500 4.500 0 100 9 4.500 4.500 0 000-9zM10.300 10.300l3.200 3.200",
  close: "M4 4l8 8M12 4l-8 8",
  menu: "M2.500 4.500h11M2.500 8h11M2.500 11.500h11",
  sun: "M8 5.200a2.800 2.800 0 100 5.600 2.800 2.800 0 000-5.600zM8 1.500v1.300M8 13.200v1.300M1.500 8h1.300M13.200 8h1.300M3.400 3.400l.9.9M11.700 11.700l.9.9M3.400 12.600l.9-.9M11.700 4.300l.9-.9",
  moon: "M13.200 9.700A5.700 5.700 0 016.300 2.800a5.700 5.700 0 106.900 6.900z",
  copy: "M5.500 5.500h7.500v7.500H5.500zM3 10.500V3h7.500",
  check: "M3 8.500l3.200 3.200L13 4.500",
  right: "M6 3.500L10.500 8 6 12.500",
  down: "M3.500 6L8 10.500 12.500 6",
  up: "M3.500 10L8 5.500 12.500 10",
  play: "M5 3l8 5-8 5z",
  pause: "M5.500 3v10M10.500 3v10",
  refresh: "M13 8a5 5 0 11-1.500-3.600M13 2.500v2.500h-2.500",
  trash: "M3 4.500h10M6.500 4.500V3h3v1.500M4.500 4.500l.6 8.500h5.800l.6-8.500",
  plus: "M8 3v10M3 8h10",
  download: "M8 2.500v8M4.800 7.500L8 10.700l3.200-3.200M3 13.500h10",
  link: "M6.500 9.500l3-3M7 4.500l1.500-1.500a2.800 2.800 0 014 4L11 8.500M9 11.500L7.500 13a2.800 2.800 0 01-4-4L5 7.500",
  keyboard: "M1.500 4.500h13v7.500h-13zM4 7h.01M6.700 7h.01M9.300 7h.01M12 7h.01M5 9.700h6",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.4" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
