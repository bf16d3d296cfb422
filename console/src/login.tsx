import { useState } from "react";

import { login } from "./api/http.ts";
import type { Session } from "./api/types.ts";
import { Failure } from "./parts/page.tsx";
import { Command } from "./parts/copy.tsx";
import { Mark } from "./shell.tsx";

export function Login({ onDone }: { onDone: (session: Session) => void }) {
  const [token, setToken] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const send = async (event: React.SyntheticEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      onDone(await login(token.trim()));
    } catch (problem) {
      setError(problem instanceof Error ? problem : new Error(String(problem)));
      setBusy(false);
    }
  };
  return (
    <main className="login">
      <form className="card form" onSubmit={(event) => void send(event)}>
        <div className="row">
          <Mark size={32} />
          <h1>Log in to the iii console</h1>
        </div>
        <div className="field">
          <label htmlFor="token">Access token</label>
          {/* eslint-disable-next-line jsx-a11y/no-autofocus -- the one field of the page */}
          <input id="token" className="input mono" type="password" autoComplete="current-password" value={token} onChange={(event) => setToken(event.target.value)} autoFocus required />
          <span className="help">The token decides what you see and what you can do. It is sent once and never kept in the browser.</span>
        </div>
        {error ? <Failure error={error} /> : null}
        <button type="submit" className="button primary" disabled={busy || token.trim() === ""}>
          {busy ? "Logging in…" : "Log in"}
        </button>
        <div className="stack tight">
          <span className="muted">Who runs the engine makes one:</span>
          <Command>iii token create</Command>
        </div>
      </form>
    </main>
  );
}
