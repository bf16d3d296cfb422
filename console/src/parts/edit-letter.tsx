import { useId, useState } from "react";

import { act, ApiError } from "../api/http.ts";
import type { DeadRow } from "../api/types.ts";
import { edited, editable, exact, ROUNDED } from "../text/editable.ts";
import { Dialog } from "./dialog.tsx";
import { Difference } from "./difference.tsx";
import { Failure } from "./page.tsx";
import { Text } from "./text.tsx";
import { toast } from "./toast.tsx";

/** A dead letter is tried again with another payload: the letter stays until the job with the new one is kept. */
export function EditLetter({ queue, letter, onClose, onDone }: { queue: string; letter: DeadRow; onClose: () => void; onDone: () => void }) {
  const [text, setText] = useState(() => editable(letter.payload));
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Error | null>(null);
  const field = useId();
  const typed = exact(letter.payload) ? edited(text) : { problem: ROUNDED };
  const problem = "problem" in typed ? typed.problem : null;
  const same = "value" in typed && JSON.stringify(typed.value) === JSON.stringify(letter.payload);
  const redrive = async (): Promise<void> => {
    if (!("value" in typed)) return;
    setBusy(true);
    setFailure(null);
    try {
      const answer = (await act("queue::redrive_edited", { queue, message_id: letter.id, payload: typed.value })) as { redriven?: number } | null;
      if (answer?.redriven === 0) throw new ApiError(404, "It is not in the dead-letter queue any more: nothing was changed.");
      toast("Redriven with the new payload.");
      onDone();
      onClose();
    } catch (error) {
      setFailure(error as Error);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title="Redrive with another payload?"
      onClose={onClose}
      end={<><button type="button" className="button" onClick={onClose}>Cancel</button><button type="button" className="button primary danger" disabled={busy || problem !== null || same} onClick={() => void redrive()}>{busy ? "Working…" : "Redrive"}</button></>}
    >
      <p>The job goes back to <Text mono>{queue}</Text> with what you write here, under its old id and with all its attempts. The dead letter is removed once the job is kept; the old payload is gone then.</p>
      <div className="field">
        <label htmlFor={field}>Payload (JSON)</label>
        <textarea id={field} className="area tall" value={text} spellCheck={false} aria-invalid={problem !== null} aria-describedby={`${field}-says`} onChange={(event) => setText(event.target.value)} />
      </div>
      <div id={`${field}-says`} aria-live="polite">
        {problem !== null ? <p className="bad-text"><Text limit={300}>{problem}</Text></p> : same ? <p className="muted">Nothing is changed yet.</p> : "value" in typed ? <Difference before={letter.payload} after={typed.value} /> : null}
      </div>
      {failure ? <Failure error={failure} /> : null}
    </Dialog>
  );
}
