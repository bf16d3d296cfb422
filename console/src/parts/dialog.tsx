import { useId, useLayoutEffect, useRef, useState } from "react";

import { failed } from "./toast.tsx";

/** A modal window: the browser keeps the focus inside and gives it back. */
export function Dialog({ title, onClose, children, end, className }: { title: string; onClose: () => void; children: React.ReactNode; end?: React.ReactNode; className?: string }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  // A layout effect ends before the element is taken away: closed after that, it gives the focus to nobody
  useLayoutEffect(() => {
    const element = dialog.current;
    if (element && !element.open) element.showModal();
    return () => element?.close();
  }, []);
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions, jsx-a11y/click-events-have-key-events -- Escape is the browser's own
    <dialog ref={dialog} className={className} aria-labelledby={heading} onCancel={(event) => { event.preventDefault(); onClose(); }} onClick={(event) => { if (event.target === dialog.current) onClose(); }}>
      <div className="dialog-body">
        <h2 id={heading}>{title}</h2>
        {children}
      </div>
      {end ? <div className="dialog-end">{end}</div> : null}
    </dialog>
  );
}

export interface Confirmation {
  title: string;
  /** what will happen, in numbers and names */
  says: React.ReactNode;
  action: string;
  run: () => Promise<unknown>;
  /** a word to be typed, for what can't be undone at all */
  typed?: string;
  harmless?: boolean;
}

export function Confirm({ of, onClose }: { of: Confirmation; onClose: () => void }) {
  const [busy, setBusy] = useState(false);
  const [word, setWord] = useState("");
  const field = useId();
  const run = async (): Promise<void> => {
    setBusy(true);
    try {
      await of.run();
      onClose();
    } catch (error) {
      failed(error);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={of.title}
      onClose={onClose}
      end={
        <>
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="button" className={`button primary ${of.harmless ? "" : "danger"}`} disabled={busy || (of.typed !== undefined && word !== of.typed)} onClick={() => void run()}>
            {busy ? "Working…" : of.action}
          </button>
        </>
      }
    >
      <div>{of.says}</div>
      {of.typed === undefined ? null : (
        <div className="field">
          <label htmlFor={field}>
            Type <code>{of.typed}</code> to go on
          </label>
          <input id={field} className="input mono" value={word} onChange={(event) => setWord(event.target.value)} autoComplete="off" spellCheck={false} />
        </div>
      )}
    </Dialog>
  );
}

/** A page's question before a deed: `ask(…)`, and put `question` somewhere. */
export function useConfirm(): { ask: (of: Confirmation) => void; question: React.ReactNode } {
  const [of, setOf] = useState<Confirmation | null>(null);
  return { ask: setOf, question: of ? <Confirm of={of} onClose={() => setOf(null)} /> : null };
}
