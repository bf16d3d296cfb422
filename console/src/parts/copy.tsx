import { useEffect, useRef, useState } from "react";

import { asCommand, asCurl, asPython, asTypeScript, type Called } from "../text/copies.ts";
import { engineOption } from "../text/commands.ts";
import { visible } from "../text/visible.ts";
import { Icon } from "./icon.tsx";
import { useSession } from "./session.ts";
import { toast } from "./toast.tsx";

const SHOWN_MS = 2000;

async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without TLS the clipboard is refused to all but localhost: the old way
    const area = document.createElement("textarea");
    area.value = text;
    area.setAttribute("readonly", "");
    area.className = "unseen";
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way there
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export function CopyButton({ text, label, children, small = true }: { text: string | (() => string); label: string; children?: React.ReactNode; small?: boolean }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = async (): Promise<void> => {
    if (await copied(typeof text === "string" ? text : text())) setDone(true);
    else toast("The browser refused the clipboard. Select the text and copy it by hand.", "bad");
  };
  return (
    <button type="button" className={`button plain ${small ? "small" : ""} ${children ? "" : "icon"}`} aria-label={label} title={label} onClick={() => void copy()}>
      <Icon name={done ? "check" : "copy"} size={14} />
      {children}
      <span className="unseen" aria-live="polite">
        {done ? "copied" : ""}
      </span>
    </button>
  );
}

/** Copy a call in the form that is wanted. */
export function CopyAs({ called, extra = [], plain = false }: { plain?: boolean; called: () => Called | null; extra?: [string, () => string][] }) {
  const session = useSession();
  const [open, setOpen] = useState(false);
  const anchor = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const close = (event: Event): void => {
      if (event instanceof KeyboardEvent ? event.key === "Escape" : !anchor.current?.contains(event.target as Node)) {
        if (event instanceof KeyboardEvent) event.stopPropagation();
        setOpen(false);
      }
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("keydown", close, true);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("keydown", close, true);
    };
  }, [open]);
  const forms: [string, (of: Called) => string][] = [
    ["curl", (of) => asCurl(of, location.origin)],
    ["iii command", (of) => `${asCommand(of)}${engineOption(session.engine.url)}`],
    ["Python", asPython],
    ["TypeScript", asTypeScript],
  ];
  const copy = async (text: string | null, name: string): Promise<void> => {
    setOpen(false);
    if (text === null) toast("The input is not valid JSON: nothing was copied.", "bad");
    else if (await copied(text)) toast(`Copied as ${name}.`);
  };
  return (
    <div className="anchor" ref={anchor}>
      <button type="button" className={`button small ${plain ? "plain" : ""}`} title="Copy what this page asks for as curl, command of iii, Python or TypeScript" aria-haspopup="menu" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name="copy" size={14} /> Copy as
      </button>
      {open ? (
        <div className="menu" role="menu">
          {forms.map(([name, form]) => (
            <button key={name} type="button" role="menuitem" onClick={() => { const of = called(); void copy(of ? form(of) : null, name); }}>
              {name}
            </button>
          ))}
          {extra.map(([name, text]) => (
            <button key={name} type="button" role="menuitem" onClick={() => void copy(text(), name)}>
              {name}
            </button>
          ))}
        </div>
      ) : null}
    </div>
  );
}

/** A command to run, with its button. */
export function Command({ children }: { children: string }) {
  return (
    <div className="code">
      <bdi>{visible(children, 2000)}</bdi>
      <CopyButton text={children} label="Copy the command" />
    </div>
  );
}
