import { useQuery } from "@tanstack/react-query";

import { act, ask } from "../api/http.ts";
import { useLive } from "../api/live.ts";
import type { Json } from "../api/types.ts";
import { useNow } from "../parts/clock.ts";
import { JsonView } from "../parts/json-view.tsx";
import { Block, Empty, Failure, Head } from "../parts/page.tsx";
import { useMay } from "../parts/session.ts";
import { Text } from "../parts/text.tsx";
import { failed, toast } from "../parts/toast.tsx";
import { age, count, moment } from "../text/format.ts";

interface Alert { name: string; firing: boolean; last_evaluated: number; last_triggered: number | null; current_value: number; threshold: number; operator: string }

const EXAMPLE = `workers:
  - name: iii-observability
    config:
      alerts:
        - name: many-errors
          metric: iii.invocations.error
          operator: ">"
          threshold: 10
          window_seconds: 60`;

export default function Alerts() {
  const now = useNow();
  const may = useMay();
  const live = useLive<Alert>("alerts", (row) => row.name);
  const rules = useQuery({ queryKey: ["alerts"], queryFn: ({ signal }) => ask<{ rules: Json[]; alerts: Alert[] }>("engine::alerts::list", {}, signal) });
  const rows = live.rows.length > 0 ? live.rows : (rules.data?.alerts ?? []);
  const firing = rows.filter((row) => row.firing).length;
  const evaluate = async (): Promise<void> => {
    try {
      await act("engine::alerts::evaluate", {});
      await rules.refetch();
      toast("All rules were looked at.");
    } catch (error) {
      failed(error);
    }
  };
  return (
    <>
      <Head title="Alerts" called={() => ({ functionId: "engine::alerts::list", payload: {} })} number={live.ready ? rows.length : null} note={firing ? `${count(firing)} firing` : "quiet"}>
        {may("engine::alerts::evaluate") ? <button type="button" className="button" onClick={() => void evaluate()}>Evaluate now</button> : null}
      </Head>
      <div className="body stack">
        {rules.error ? <Failure error={rules.error} /> : null}
        {rows.length === 0 && rules.data ? <Empty title="No rule is configured" command={EXAMPLE}>An alert compares a metric with a threshold, and can call a function or a webhook. Put this into the engine's configuration file:</Empty> : null}
        {rows.length > 0 ? (
          <div className="cards">
            {[...rows].sort((a, b) => Number(b.firing) - Number(a.firing) || a.name.localeCompare(b.name)).map((row) => (
              <section key={row.name} className={`card ${row.firing ? "firing" : ""}`}>
                <div className="row"><span className={`dot ${row.firing ? "bad" : "ok"}`} /><h2 className="grow cut"><Text limit={80}>{row.name}</Text></h2><span className={`tag ${row.firing ? "bad" : "ok"}`}>{row.firing ? "firing" : "quiet"}</span></div>
                <p className="big-value">{Number(row.current_value.toPrecision(6))} <small className="muted">{row.operator} {row.threshold}</small></p>
                <p className="muted">looked at {row.last_evaluated ? `${age(row.last_evaluated, now)} ago` : "never"}{row.last_triggered ? <>, fired last <span title={moment(row.last_triggered)}>{age(row.last_triggered, now)} ago</span></> : ", never fired"}</p>
              </section>
            ))}
          </div>
        ) : null}
        {rules.data && rules.data.rules.length > 0 ? <Block title="Rules"><JsonView value={rules.data.rules} label="rules" /></Block> : null}
      </div>
    </>
  );
}
