import { useSyncExternalStore } from "react";

import { visible } from "../text/visible.ts";
import { Icon } from "./icon.tsx";

export interface Undo { label: string; run: () => Promise<unknown> }
interface Toast { id: number; text: string; tone: "ok" | "bad"; undo: Undo | null }

const SHOWN_MS = 6000;
const MOST = 3;
let toasts: Toast[] = [];
let next = 0;
const listeners = new Set<() => void>();

function put(changed: Toast[]): void {
  toasts = changed;
  listeners.forEach((listener) => listener());
}

const drop = (id: number): void => put(toasts.filter((other) => other.id !== id));

export function toast(text: string, tone: "ok" | "bad" = "ok", undo: Undo | null = null): void {
  const id = next++;
  put([...toasts.slice(1 - MOST), { id, text, tone, undo }]);
  setTimeout(() => drop(id), tone === "bad" || undo ? SHOWN_MS * 2 : SHOWN_MS);
}

export const failed = (error: unknown): void => toast(error instanceof Error ? error.message : String(error), "bad");

/** What was undone is told, and so is what could not be. */
function undone(each: Toast): void {
  drop(each.id);
  each.undo?.run().then(() => toast("It is as it was before."), failed);
}

export function Toasts() {
  const shown = useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, () => toasts);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((each) => (
        <div key={each.id} className={`toast ${each.tone}`}>
          <span className="grow">{visible(each.text, 600)}</span>
          {each.undo ? (
            <button type="button" className="button small" onClick={() => undone(each)}>
              {each.undo.label}
            </button>
          ) : null}
          <button type="button" className="button plain small icon" aria-label="Dismiss" onClick={() => drop(each.id)}>
            <Icon name="close" size={12} />
          </button>
        </div>
      ))}
    </div>
  );
}
