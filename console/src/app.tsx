import { QueryClient, QueryClientProvider, useQueryClient } from "@tanstack/react-query";
import { Component, lazy, Suspense, useEffect, useRef, useState } from "react";
import { Redirect, Route, Switch } from "wouter";

import { ApiError, session as askSession, whenLoginIsRequired } from "./api/http.ts";
import { live, useConnection } from "./api/live.ts";
import type { Session } from "./api/types.ts";
import { Login } from "./login.tsx";
import { Empty, Failure, Head, Waiting } from "./parts/page.tsx";
import { SessionContext } from "./parts/session.ts";
import { Toasts } from "./parts/toast.tsx";
import Overview from "./pages/overview.tsx";
import { Mark, Shell } from "./shell.tsx";

const RETRY_MS = 3000;
const FRESH_MS = 5000;

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: FRESH_MS,
      refetchOnWindowFocus: false,
      retry: (times, error) => times < 1 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
    },
  },
});

const PAGES: [string, React.ComponentType][] = [
  ["/workers", lazy(() => import("./pages/workers.tsx"))],
  ["/functions", lazy(() => import("./pages/functions.tsx"))],
  ["/traces", lazy(() => import("./pages/traces.tsx"))],
  ["/triggers", lazy(() => import("./pages/triggers.tsx"))],
  ["/queues", lazy(() => import("./pages/queues.tsx"))],
  ["/schedules", lazy(() => import("./pages/schedules.tsx"))],
  ["/logs", lazy(() => import("./pages/logs.tsx"))],
  ["/metrics", lazy(() => import("./pages/metrics.tsx"))],
  ["/alerts", lazy(() => import("./pages/alerts.tsx"))],
  ["/flow", lazy(() => import("./pages/flow.tsx"))],
  ["/state", lazy(() => import("./pages/state.tsx"))],
  ["/streams", lazy(() => import("./pages/streams.tsx"))],
  ["/channels", lazy(() => import("./pages/channels.tsx"))],
  ["/configuration", lazy(() => import("./pages/configuration.tsx"))],
  ["/access", lazy(() => import("./pages/access.tsx"))],
];

/** One page that fails does not take the others with it. */
class Fence extends Component<{ children: React.ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: unknown): { error: Error } {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render(): React.ReactNode {
    if (!this.state.error) return this.props.children;
    return (
      <>
        <Head title="This page failed" />
        <div className="body stack">
          <Failure error={this.state.error} retry={() => this.setState({ error: null })} />
          <p className="muted">The other pages work. If it happens again after a reload, the console is older or newer than its server.</p>
          <div>
            <button type="button" className="button" onClick={() => location.reload()}>
              Reload the console
            </button>
          </div>
        </div>
      </>
    );
  }
}

/** After the engine came back, what is on the screen is asked for again. */
function useFreshAfterReturn(): void {
  const { socket, engine } = useConnection();
  const queries = useQueryClient();
  const was = useRef(true);
  const is = socket === "open" && engine;
  useEffect(() => {
    if (is && !was.current) void queries.invalidateQueries();
    was.current = is;
  }, [is, queries]);
}

function Pages() {
  useFreshAfterReturn();
  return (
    <Shell>
      <Suspense fallback={<div className="body"><Waiting /></div>}>
        <Switch>
          <Route path="/">
            <Fence>
              <Overview />
            </Fence>
          </Route>
          {PAGES.map(([path, Page]) => (
            <Route key={path} path={path}>
              <Fence>
                <Page />
              </Fence>
            </Route>
          ))}
          <Route path="/states"><Redirect to="/state" /></Route>
          <Route path="/config"><Redirect to="/configuration" /></Route>
          <Route path="/dead-letter"><Redirect to="/queues?tab=dead" /></Route>
          <Route>
            <Head title="No such page" />
            <Empty title="There is no page of this address">The list of pages is on the left; Ctrl K finds what has a name.</Empty>
          </Route>
        </Switch>
      </Suspense>
    </Shell>
  );
}

function Unreachable({ error, retry }: { error: Error; retry: () => void }) {
  return (
    <main className="login">
      <div className="card form">
        <div className="row">
          <Mark size={32} />
          <h1>The console's server does not answer</h1>
        </div>
        <Failure error={error} retry={retry} />
        <p className="muted">Asked again every 3 s.</p>
      </div>
    </main>
  );
}

export function App() {
  const [session, setSession] = useState<Session | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    let current = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    askSession().then(
      (found) => {
        if (!current) return;
        setError(null);
        setSession(found);
      },
      (problem: unknown) => {
        if (!current) return;
        setError(problem instanceof Error ? problem : new Error(String(problem)));
        timer = setTimeout(() => setTries(tries + 1), RETRY_MS);
      },
    );
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [tries]);
  useEffect(() => whenLoginIsRequired(() => setTries((number) => number + 1)), []);
  const inside = session !== null && (!session.login_required || session.logged_in);
  useEffect(() => {
    if (!inside) return;
    live.start();
    return () => live.stop();
  }, [inside]);
  // A login that ended elsewhere closes the connection, and a browser does not tell why: the server does
  const { socket } = useConnection();
  useEffect(() => {
    if (socket !== "lost" || !inside) return;
    const timer = setTimeout(() => setTries((number) => number + 1), 0);
    return () => clearTimeout(timer);
  }, [socket, inside]);
  if (session === null) return error ? <Unreachable error={error} retry={() => setTries(tries + 1)} /> : null;
  return (
    <QueryClientProvider client={client}>
      <SessionContext value={session}>{inside ? <Pages /> : <Login onDone={setSession} />}</SessionContext>
      <Toasts />
    </QueryClientProvider>
  );
}
