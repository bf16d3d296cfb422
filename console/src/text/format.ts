/** Numbers as people read them. All pure. */

const NONE = "–";
const THIN = "\u202f";

export function count(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  const size = Math.abs(value);
  if (size < 10_000) return Math.round(value).toLocaleString("en");
  if (size < 1e6) return `${trimmed(value / 1e3)}${THIN}k`;
  if (size < 1e9) return `${trimmed(value / 1e6)}${THIN}M`;
  return `${trimmed(value / 1e9)}${THIN}G`;
}

function trimmed(value: number): string {
  const size = Math.abs(value);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  if (value === 0) return "0";
  return value < 0.01 ? "<0.01" : value < 10 ? value.toFixed(2) : value < 1000 ? value.toFixed(value < 100 ? 1 : 0) : count(value);
}

/** A length of time out of milliseconds: 455 µs, 9.41 ms, 1.20 s, 3 min 5 s, 2 h 4 min. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NONE;
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms === 0) return `0${THIN}ms`;
  if (ms < 0.9995) return `${(ms * 1000).toFixed(ms < 0.01 ? 1 : 0)}${THIN}µs`;
  if (ms < 999.5) return `${trimmed(ms)}${THIN}ms`;
  if (ms < 59_950) return `${trimmed(ms / 1000)}${THIN}s`;
  return span(ms / 1000);
}

/** A long time in its two largest units. */
export function span(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NONE;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}${THIN}s`;
  const units: [number, string][] = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = units.findIndex(([size]) => whole >= size);
  const [size, name] = units[first] ?? [1, "s"];
  const [rest, small] = units[first + 1] ?? [1, "s"];
  const remainder = Math.floor((whole % size) / rest);
  return `${Math.floor(whole / size)}${THIN}${name}${remainder ? ` ${remainder}${THIN}${small}` : ""}`;
}

/** One unit only, for lists: 7 s, 3 min, 2 h, 1 d. */
export function age(sinceMs: number | null | undefined, nowMs: number): string {
  if (sinceMs === null || sinceMs === undefined) return NONE;
  const seconds = Math.max(0, Math.floor((nowMs - sinceMs) / 1000));
  if (seconds < 60) return `${seconds}${THIN}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${THIN}min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}${THIN}h`;
  return `${Math.floor(seconds / 86_400)}${THIN}d`;
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  if (value < 1024) return `${value}${THIN}B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let size = value / 1024;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${trimmed(size)}${THIN}${units[unit] ?? ""}`;
}

export const percent = (value: number | null | undefined): string =>
  value === null || value === undefined || Number.isNaN(value) ? NONE : value === 0 ? `0${THIN}%` : `${value < 10 ? value.toFixed(1) : value.toFixed(0)}${THIN}%`;

/** Nanoseconds exceed what a number holds exactly; for the screen milliseconds with a fraction do. */
export const milliseconds = (nano: number): number => nano / 1e6;

const pad = (value: number, width = 2): string => String(value).padStart(width, "0");

export function clock(ms: number | null | undefined, fraction = false): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NONE;
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return NONE;
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}${fraction ? `.${pad(at.getMilliseconds(), 3)}` : ""}`;
}

export function moment(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NONE;
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return NONE;
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${clock(ms)}`;
}

export const plural = (number: number, one: string, many = `${one}s`): string => `${count(number)} ${number === 1 ? one : many}`;
