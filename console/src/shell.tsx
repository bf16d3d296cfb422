import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { Link, useLocation } from "wouter";

import { logout } from "./api/http.ts";
import { live, useConnection, useLive } from "./api/live.ts";
import type { HealthRow, Json, QueueRow, WorkerRow } from "./api/types.ts";
import { useNow } from "./parts/clock.ts";
import { Help } from "./parts/help.tsx";
import { Icon } from "./parts/icon.tsx";
import { useKeys } from "./parts/keys.ts";
import { Palette } from "./parts/palette.tsx";
import { useSession } from "./parts/session.ts";
import { Text } from "./parts/text.tsx";
import { putTheme, useTheme } from "./parts/theme.ts";
import { failed } from "./parts/toast.tsx";
import { PLACES, SECTIONS } from "./places.ts";

const GO_MS = 1200;

export function Mark({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="var(--accent)" />
      <g fill="var(--accent-ink)">
        <circle cx="9" cy="9" r="2" />
        <circle cx="16" cy="9" r="2" />
        <circle cx="23" cy="9" r="2" />
        <rect x="7.500" y="13" width="3" height="11" rx="1.500" />
        <rect x="14.500" y="13" width="3" height="7" rx="1.500" />
        <rect x="21.500" y="13" width="3" height="11" rx="1.500" />
      </g>
    </svg>
  );
}

function ThemeButton() {
  const theme = useTheme();
  const other = theme === "dark" ? "light" : "dark";
  return (
    <button type="button" className="button plain icon" aria-label={`Use the ${other} theme`} title={`Use the ${other} theme (t t)`} onClick={() => putTheme(other)}>
      <Icon name={theme === "dark" ? "sun" : "moon"} />
    </button>
  );
}

const member = (value: Json | undefined, name: string): Json | undefined => (value && typeof value === "object" && !Array.isArray(value) ? value[name] : undefined);

function detail(row: HealthRow): string {
  const stored = ["stored_metrics", "stored_logs", "stored_spans"].map((name) => member(row.details, name)).find((value) => typeof value === "number");
  if (typeof stored === "number") return `${stored.toLocaleString("en")} stored`;
  const exporter = member(row.details, "exporter");
  if (typeof exporter === "string") return [exporter, member(row.details, "service_name")].filter((part) => typeof part === "string").join(" · ");
  return row.version ?? row.status;
}

function Health() {
  const { rows } = useLive<HealthRow>("health", (row) => row.name);
  const { socket, engine } = useConnection();
  const session = useSession();
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const close = (event: Event): void => {
      if (event instanceof KeyboardEvent ? event.key === "Escape" : !box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("keydown", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("keydown", close);
    };
  }, [open]);
  const parts = rows.filter((row) => row.name !== "engine");
  const whole = rows.find((row) => row.name === "engine");
  const good = parts.filter((row) => row.status === "healthy").length;
  const away = socket === "lost" || !engine;
  const online = !away && (whole ? whole.status === "healthy" : true);
  const word = socket === "connecting" ? "Connecting" : away ? "Offline" : online ? "Online" : "Degraded";
  return (
    <div className="anchor health-anchor" ref={box}>
      <button type="button" className="health" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span className={`dot ${away ? "bad" : online ? "ok" : "warn"}`} />
        <span className="grow">
          <span className="row">
            <span className="strong"><span className="unseen">Engine health: </span>{word}</span>
            {parts.length > 0 && !away ? <span className="muted">{good}/{parts.length}</span> : null}
          </span>
          <span className="where cut">
            {whole?.version ?? ""} {session.engine.url.replace(/^wss?:\/\//, "")}
          </span>
        </span>
        <Icon name="up" size={12} />
      </button>
      {open ? (
        <div className="menu up" role="group" aria-label="Engine health">
          {parts.map((row) => (
            <div key={row.name} className="row menu-line">
              <span className={`dot ${row.status === "healthy" ? "ok" : row.status === "disabled" ? "" : "bad"}`} />
              <Text>{row.name}</Text>
              <span className="grow" />
              <span className="muted">{row.status === "healthy" ? <Text>{detail(row)}</Text> : <Text>{row.status}</Text>}</span>
            </div>
          ))}
          {parts.length === 0 ? <p className="menu-line muted">Nothing is known of the engine.</p> : null}
        </div>
      ) : null}
    </div>
  );
}

function Navigation({ open, onGo }: { open: boolean; onGo: () => void }) {
  const [path] = useLocation();
  const session = useSession();
  const workers = useLive<WorkerRow>("workers", (row) => row.id);
  const queues = useLive<QueueRow>("queues", (row) => row.name);
  const dead = queues.rows.reduce((sum, row) => sum + row.dlq_depth, 0);
  const counts: Record<string, React.ReactNode> = {
    "/workers": workers.ready ? <span className="count">{workers.rows.filter((row) => !row.internal && row.runtime !== "engine").length}</span> : null,
    "/queues": dead > 0 ? <span className="count bad" title="dead letters">{dead.toLocaleString("en")}</span> : null,
  };
  return (
    <nav className={`nav ${open ? "open" : ""}`} aria-label="Pages" id="navigation">
      <Link href="/" className="brand" onClick={onGo}>
        <Mark />
        <span>iii</span>
        <small>console</small>
      </Link>
      {SECTIONS.map((section) => (
        <div key={section.title || "first"} className="stack places">
          {section.title ? <div className="section">{section.title}</div> : null}
          {section.places.map((place) => (
            <Link key={place.path} href={place.path} className="place" aria-current={path === place.path ? "page" : undefined} title={`${place.says} (g ${place.key})`} onClick={onGo}>
              <Icon name={place.icon} />
              {place.title}
              {counts[place.path]}
            </Link>
          ))}
        </div>
      ))}
      <div className="bottom">
        <div className="row">
          <button type="button" className="button plain small grow" onClick={() => document.dispatchEvent(new CustomEvent("iii-palette"))}>
            <Icon name="search" size={14} /> Go to <kbd>Ctrl K</kbd>
          </button>
          <button type="button" className="button plain small icon" aria-label="Keyboard shortcuts" title="Keyboard (?)" onClick={() => document.dispatchEvent(new CustomEvent("iii-help"))}>
            <Icon name="keyboard" />
          </button>
          <ThemeButton />
        </div>
        {session.login_required && session.who ? (
          <div className="row who">
            <Text className="grow cut">{session.who}</Text>
            <button type="button" className="button plain small" onClick={() => void logout().then(() => location.reload()).catch(failed)}>
              Log out
            </button>
          </div>
        ) : null}
        <Health />
      </div>
    </nav>
  );
}

function Banners() {
  const { socket, engine, retryAt } = useConnection();
  const now = useNow();
  if (socket === "lost")
    return (
      <div className="banner bad" role="alert">
        <p className="grow">
          <span className="strong">Connection lost.</span> The console's server does not answer{retryAt && retryAt > now ? `; retrying in ${Math.ceil((retryAt - now) / 1000)} s` : "; retrying"}. What is shown is old.
        </p>
        <button type="button" className="button small" onClick={() => live.now()}>
          Retry now
        </button>
      </div>
    );
  if (!engine)
    return (
      <div className="banner" role="alert">
        <p>
          <span className="strong">The engine is not reachable.</span> Start it with <code>iii</code>; this page goes on by itself. What is shown is old.
        </p>
      </div>
    );
  return null;
}

export function Shell({ children }: { children: React.ReactNode }) {
  const [drawer, setDrawer] = useState(false);
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const [path, navigate] = useLocation();
  const theme = useTheme();
  const { socket, engine } = useConnection();
  const went = useRef<{ key: string; at: number } | null>(null);
  const main = useRef<HTMLElement>(null);

  useEffect(() => {
    const openPalette = (): void => setPalette(true);
    const openHelp = (): void => setHelp(true);
    document.addEventListener("iii-palette", openPalette);
    document.addEventListener("iii-help", openHelp);
    return () => {
      document.removeEventListener("iii-palette", openPalette);
      document.removeEventListener("iii-help", openHelp);
    };
  }, []);

  // Two keys, one after the other: the first only opens the door
  const second = (key: string, run: () => void): (() => void) => () => {
    const before = went.current;
    went.current = null;
    if (before && before.key === key && Date.now() - before.at < GO_MS) run();
  };
  useLayoutEffect(() => {
    const follow = (event: KeyboardEvent): void => {
      const before = went.current;
      if (!before || before.key !== "g" || event.key === "g" || Date.now() - before.at > GO_MS) return;
      const place = PLACES.find((each) => each.key === event.key);
      went.current = null;
      if (!place) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      navigate(place.path);
    };
    document.addEventListener("keydown", follow, true);
    return () => document.removeEventListener("keydown", follow, true);
  }, [navigate]);
  useKeys({
    "Mod+k": () => setPalette(!palette),
    "?": () => setHelp(true),
    g: () => { went.current = { key: "g", at: Date.now() }; },
    t: () => {
      const before = went.current;
      if (before?.key === "t") second("t", () => putTheme(theme === "dark" ? "light" : "dark"))();
      else went.current = { key: "t", at: Date.now() };
    },
    ...(drawer ? { Escape: () => setDrawer(false) } : {}),
  });
  const tone = socket === "lost" ? "lost" : !engine || socket === "connecting" ? "away" : "";
  return (
    <div className="shell">
      <a className="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>
        Skip to the page
      </a>
      <div className={`pulse ${tone}`} aria-hidden="true" />
      <header className="bar">
        <button type="button" className="button plain icon" aria-label="Pages" aria-expanded={drawer} aria-controls="navigation" onClick={() => setDrawer(!drawer)}>
          <Icon name="menu" />
        </button>
        <span className="strong grow">{PLACES.find((place) => place.path === path)?.title ?? "iii console"}</span>
        <span className={`dot ${tone === "" ? "ok" : tone === "lost" ? "bad" : "warn"}`} />
        <button type="button" className="button plain icon" aria-label="Open the palette" onClick={() => setPalette(true)}>
          <Icon name="search" />
        </button>
        <ThemeButton />
      </header>
      <Navigation open={drawer} onGo={() => setDrawer(false)} />
      <button type="button" className={`veil ${drawer ? "open" : ""}`} aria-label="Close the list of pages" tabIndex={drawer ? 0 : -1} onClick={() => setDrawer(false)} />
      <div className="banners">
        <Banners />
      </div>
      <main className="main" id="main" ref={main} tabIndex={-1}>
        {children}
      </main>
      {palette ? <Palette onClose={() => setPalette(false)} /> : null}
      {help ? <Help onClose={() => setHelp(false)} /> : null}
    </div>
  );
}
