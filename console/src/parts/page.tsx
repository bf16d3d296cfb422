import { useEffect, useId, useRef, useState } from "react";

import { ApiError } from "../api/http.ts";
import type { Called } from "../text/copies.ts";
import { count } from "../text/format.ts";
import { visible } from "../text/visible.ts";
import { Command, CopyAs } from "./copy.tsx";
import { Icon } from "./icon.tsx";
import { useKeys } from "./keys.ts";
import { Text } from "./text.tsx";

/** `called` is what the page asks the engine for, which can be copied. */
export function Head({ title, number, note, called, children }: { called?: (() => Called) | undefined; title: string; number?: number | null | undefined; note?: string | undefined; children?: React.ReactNode }) {
  useEffect(() => {
    document.title = `${title} · iii console`;
  }, [title]);
  return (
    <header className="head">
      <h1>{title}</h1>
      {number === undefined || number === null ? null : <span className="count">{count(number)}</span>}
      {note ? <span className="count">{note}</span> : null}
      <span className="grow" />
      {children}
      {called ? <CopyAs called={called} plain /> : null}
    </header>
  );
}

const TYPED_MS = 150;

/** The search of a page: `/` goes there; what is typed is in the address a moment later. */
export function Search({ value, onChange, label = "Search" }: { value: string; onChange: (value: string) => void; label?: string }) {
  const [typed, setTyped] = useState(value);
  const [known, setKnown] = useState(value);
  if (known !== value) {
    setKnown(value);
    setTyped(value);
  }
  const field = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  useKeys({ "/": () => { field.current?.focus(); field.current?.select(); } });
  const change = (text: string): void => {
    setTyped(text);
    if (timer.current) clearTimeout(timer.current);
    timer.current = setTimeout(() => onChange(text), TYPED_MS);
  };
  return (
    <div className="search" role="search">
      <Icon name="search" size={14} />
      <input
        ref={field}
        type="search"
        className="input"
        placeholder={label}
        aria-label={label}
        value={typed}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => change(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.stopPropagation();
          if (typed) change("");
          else field.current?.blur();
        }}
      />
      <kbd aria-hidden="true">/</kbd>
    </div>
  );
}

export function Segments({ label, value, options, onChange }: { label: string; value: string; options: { value: string; title: string; count?: number }[]; onChange: (value: string) => void }) {
  return (
    <div className="segments" role="group" aria-label={label}>
      {options.map((option) => (
        <button key={option.value} type="button" aria-pressed={option.value === value} onClick={() => onChange(option.value)}>
          {visible(option.title, 40)}
          {option.count === undefined ? null : <span className="count">{count(option.count)}</span>}
        </button>
      ))}
    </div>
  );
}

export function Tabs({ label, value, options, onChange, children }: { label: string; value: string; options: { value: string; title: string; count?: number | null }[]; onChange: (value: string) => void; children: React.ReactNode }) {
  const name = useId();
  const step = (by: number): void => {
    const index = options.findIndex((option) => option.value === value);
    const next = options[(index + by + options.length) % options.length];
    if (next) {
      onChange(next.value);
      document.getElementById(`${name}-${next.value}`)?.focus();
    }
  };
  return (
    <>
      <div className="segments" role="tablist" aria-label={label}>
        {options.map((option) => (
          <button
            key={option.value}
            id={`${name}-${option.value}`}
            type="button"
            role="tab"
            aria-selected={option.value === value}
            aria-controls={`${name}-panel`}
            tabIndex={option.value === value ? 0 : -1}
            onClick={() => onChange(option.value)}
            onKeyDown={(event) => {
              if (event.key === "ArrowRight") step(1);
              if (event.key === "ArrowLeft") step(-1);
            }}
          >
            {option.title}
            {option.count ? <span className="count">{count(option.count)}</span> : null}
          </button>
        ))}
      </div>
      <div id={`${name}-panel`} role="tabpanel" aria-labelledby={`${name}-${value}`} className="stack">
        {children}
      </div>
    </>
  );
}

const SIDE = "iii-side-width";

/** A list, and beside it what was chosen there. */
export function Split({ list, side }: { list: React.ReactNode; side: React.ReactNode | null }) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState<number>(() => Number(localStorage.getItem(SIDE)) || 46);
  const put = (percent: number): void => {
    const bounded = Math.max(25, Math.min(75, percent));
    setWidth(bounded);
    localStorage.setItem(SIDE, String(Math.round(bounded)));
  };
  const drag = (event: React.PointerEvent): void => {
    const bounds = box.current?.getBoundingClientRect();
    if (!bounds || !event.currentTarget.hasPointerCapture(event.pointerId)) return;
    put(((bounds.right - event.clientX) / bounds.width) * 100);
  };
  return (
    <div ref={box} className={`split ${side ? "open" : ""}`} style={{ "--side": `${width}%` } as React.CSSProperties}>
      <div className="list">{list}</div>
      {side ? (
        <>
          {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- a separator that moves is one */}
          <div
            className="grip"
            role="separator"
            aria-orientation="vertical"
            aria-label="Width of the details"
            aria-valuenow={Math.round(width)}
            aria-valuemin={25}
            aria-valuemax={75}
            // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- as above
            tabIndex={0}
            onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
            onPointerMove={drag}
            onKeyDown={(event) => {
              if (event.key === "ArrowLeft") put(width + 3);
              if (event.key === "ArrowRight") put(width - 3);
            }}
          />
          <div className="side">{side}</div>
        </>
      ) : null}
    </div>
  );
}

export function Side({ title, tags, onClose, actions, children }: { title: React.ReactNode; tags?: React.ReactNode; onClose: () => void; actions?: React.ReactNode; children: React.ReactNode }) {
  useKeys({ Escape: onClose });
  return (
    <section aria-label="Details">
      <header className="side-head">
        <div className="stack tight grow">
          <h2>{title}</h2>
          {tags ? <div className="row wrap">{tags}</div> : null}
        </div>
        {actions}
        <button type="button" className="button plain icon" aria-label="Close the details" title="Close (Esc)" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div className="side-body">{children}</div>
    </section>
  );
}

export function Block({ title, note, actions, children }: { title: string; note?: string | undefined; actions?: React.ReactNode; children: React.ReactNode }) {
  return (
    <section className="block">
      <header>
        <h3>{title}</h3>
        {note ? <span className="muted">{note}</span> : null}
        <span className="grow" />
        {actions}
      </header>
      {children}
    </section>
  );
}

export function Facts({ of }: { of: [string, React.ReactNode][] }) {
  return (
    <dl className="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{typeof value === "string" ? <Text>{value}</Text> : (value ?? "–")}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Nothing there: what that means, and what to do next. */
export function Empty({ title, children, command }: { title: string; children?: React.ReactNode; command?: string | undefined }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children ? <div className="muted">{children}</div> : null}
      {command ? <Command>{command}</Command> : null}
    </div>
  );
}

const REMEDIES: Record<string, string> = {
  FORBIDDEN: "Your access rights do not allow it. Ask for a token with the role operator or admin.",
  LOGIN_REQUIRED: "Log in again: the session is over.",
  NO_ANSWER: "Start it, or look at its log. The page goes on by itself.",
};

export function Failure({ error, retry }: { error: Error; retry?: () => void }) {
  const code = error instanceof ApiError ? error.code : null;
  const remedy = code ? REMEDIES[code] : undefined;
  return (
    <div className="failure" role="alert">
      <strong>
        {visible(error.message, 1500)}
      </strong>
      {remedy ? <span>{remedy}</span> : null}
      {retry ? (
        <div>
          <button type="button" className="button small" onClick={retry}>
            Try once more
          </button>
        </div>
      ) : null}
    </div>
  );
}

export function Waiting({ lines = 5 }: { lines?: number }) {
  return (
    <div className="stack waiting" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <div key={index} className="bone" />
      ))}
    </div>
  );
}
