import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { act, ask } from "../api/http.ts";
import { useLive } from "../api/live.ts";
import type { Json } from "../api/types.ts";
import { useNow } from "../parts/clock.ts";
import { useConfirm } from "../parts/dialog.tsx";
import { EditAlert, type Rule, SET } from "../parts/edit-alert.tsx";
import { JsonView } from "../parts/json-view.tsx";
import { Block, Empty, Failure, Head } from "../parts/page.tsx";
import { useMay } from "../parts/session.ts";
import { Text } from "../parts/text.tsx";
import { failed, toast } from "../parts/toast.tsx";
import { age, count, moment, span } from "../text/format.ts";
import { oneLine } from "../text/visible.ts";

interface Alert { name: string; firing: boolean; last_evaluated: number; last_triggered: number | null; current_value: number; threshold: number; operator: string; action_error?: string; action_failed?: number }

const DELETE = "engine::alerts::delete";
const SOON_MS = 1200; // in which the rules that were written count

/** The rule with its placeholders as they are written, for those who may see them. */
async function written(rule: Rule): Promise<Json> {
  try {
    const { value } = await ask<{ value: { alerts?: Rule[] } | null }>("configuration::get", { id: "iii-observability", raw: true });
    return (value?.alerts?.find((each) => each.name === rule.name) ?? rule) as unknown as Json;
  } catch {
    return rule as unknown as Json;
  }
}

function deed({ action }: Rule): React.ReactNode {
  if (action.type === "webhook") return <>no request goes to <Text mono limit={200}>{action.url ?? ""}</Text> any more</>;
  if (action.type === "function") return <><Text mono limit={200}>{action.path ?? ""}</Text> is called no more</>;
  return "it writes no line into the log any more";
}

const SIGNS: Record<string, string> = { greaterthan: ">", greaterthanorequal: "≥", lessthan: "<", lessthanorequal: "≤", equal: "=", notequal: "≠" };
const signOf = (operator: string): string => SIGNS[operator.toLowerCase()] ?? operator;

function Condition({ rule }: { rule: Rule }) {
  return <><Text mono limit={120}>{rule.metric}</Text> {signOf(rule.operator)} {rule.threshold} in {span(rule.window_seconds)}</>;
}

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
  const rules = useQuery({ queryKey: ["alerts"], queryFn: ({ signal }) => ask<{ rules: Rule[]; alerts: Alert[] }>("engine::alerts::list", {}, signal) });
  const states = live.rows.length > 0 ? live.rows : (rules.data?.alerts ?? []);
  const rows = (rules.data?.rules ?? []).map((rule) => ({ rule, state: rule.enabled ? states.find((state) => state.name === rule.name) : undefined }));
  const firing = rows.filter((row) => row.state?.firing).length;
  const { ask: question, question: asked } = useConfirm();
  const [edited, setEdited] = useState<{ rule: Json | null } | null>(null);
  const { refetch } = rules;
  useEffect(() => void refetch(), [refetch, live.rev]); // each look of the engine: others change rules too
  const changed = (): void => {
    void refetch();
    setTimeout(() => void refetch(), SOON_MS);
  };
  const remove = (rule: Rule, state: Alert | undefined): void => question({
    title: "Delete this rule?",
    says: <><p><Text className="strong">{rule.name}</Text> (<Condition rule={rule} />) goes out of the engine&apos;s configuration: {deed(rule)}.</p>{state?.firing ? <p>It fires now.</p> : null}</>,
    action: "Delete",
    run: async () => {
      const before = await written(rule);
      const { deleted } = (await act(DELETE, { name: rule.name })) as { deleted: boolean };
      toast(deleted ? `${rule.name} is deleted.` : `There was no rule ${rule.name} any more.`, "ok", deleted && may(SET) ? { label: "Undo", run: () => act(SET, { rule: before, replace: false }).then(changed) } : null);
      changed();
    },
  });
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
      <Head title="Alerts" called={() => ({ functionId: "engine::alerts::list", payload: {} })} number={rules.data ? rows.length : null} note={firing ? `${count(firing)} firing` : "quiet"}>
        {may(SET) ? <button type="button" className="button primary" onClick={() => setEdited({ rule: null })}>New rule…</button> : null}
        {may("engine::alerts::evaluate") ? <button type="button" className="button" onClick={() => void evaluate()}>Evaluate now</button> : null}
      </Head>
      {asked}
      {edited ? <EditAlert rule={edited.rule} names={rows.map((row) => row.rule.name)} onClose={() => setEdited(null)} onDone={changed} /> : null}
      <div className="body stack">
        {rules.error ? <Failure error={rules.error} /> : null}
        {rows.length === 0 && rules.data ? <Empty title="No rule is configured" command={EXAMPLE}>An alert compares a metric with a threshold, and can call a function or a webhook. {may(SET) ? "Make one here, or in" : "Put this into"} the engine&apos;s configuration file:</Empty> : null}
        {rows.length > 0 ? (
          <div className="cards">
            {[...rows].sort((a, b) => Number(b.state?.firing ?? false) - Number(a.state?.firing ?? false) || a.rule.name.localeCompare(b.rule.name)).map(({ rule, state }) => {
              const tone = state?.firing ? "bad" : state ? "ok" : "";
              return (
                <section key={rule.name} aria-label={oneLine(rule.name, 80)} className={`card ${state?.firing ? "firing" : ""}`}>
                  <div className="row"><span className={`dot ${tone}`} /><h2 className="grow cut"><Text limit={80}>{rule.name}</Text></h2><span className={`tag ${tone}`}>{state?.firing ? "firing" : state ? "quiet" : rule.enabled ? "no value yet" : "switched off"}</span></div>
                  {state ? <p className="big-value">{Number(state.current_value.toPrecision(6))} <small className="muted">{signOf(state.operator)} {state.threshold}</small></p> : null}
                  <p className="muted"><Condition rule={rule} /></p>
                  {state ? <p className="muted">looked at {state.last_evaluated ? `${age(state.last_evaluated, now)} ago` : "never"}{state.last_triggered ? <>, fired last <span title={moment(state.last_triggered)}>{age(state.last_triggered, now)} ago</span></> : ", never fired"}</p> : null}
                  {state?.action_error ? <p className="bad-text">not delivered{state.action_failed ? <> <span title={moment(state.action_failed)}>{age(state.action_failed, now)} ago</span></> : null}: <Text limit={200}>{state.action_error}</Text></p> : null}
                  {may(SET) || may(DELETE) ? (
                    <div className="row">
                      {may(SET) ? <button type="button" className="button small" onClick={() => void written(rule).then((own) => setEdited({ rule: own }))}>Edit…</button> : null}
                      {may(DELETE) ? <button type="button" className="button danger small" onClick={() => remove(rule, state)}>Delete…</button> : null}
                    </div>
                  ) : null}
                </section>
              );
            })}
          </div>
        ) : null}
        {rules.data && rules.data.rules.length > 0 ? <Block title="Rules"><JsonView value={rules.data.rules as unknown as Json} label="rules" /></Block> : null}
      </div>
    </>
  );
}
