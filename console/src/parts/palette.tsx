import { useQuery } from "@tanstack/react-query";
import { useId, useRef, useState } from "react";
import { useLocation } from "wouter";

import { get } from "../api/http.ts";
import type { FunctionPage, Page, QueueRow, TriggerPage, WorkerPage } from "../api/types.ts";
import { PLACES } from "../places.ts";
import { matched } from "../text/matched.ts";
import { Dialog } from "./dialog.tsx";
import { Icon, type IconName } from "./icon.tsx";
import { to } from "./place.ts";
import { Text } from "./text.tsx";
import { putTheme } from "./theme.ts";

interface Entry { group: string; title: string; says: string; icon: IconName; run: () => void }

const EACH = 8;

/** Everything that has a name, under one key. */
export function Palette({ onClose }: { onClose: () => void }) {
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const [, navigate] = useLocation();
  const list = useRef<HTMLUListElement>(null);
  const name = useId();
  const found = useQuery({
    queryKey: ["palette", typed],
    queryFn: async ({ signal }) => {
      const parameters = { q: typed, limit: EACH };
      // One list that fails does not hide what the others found
      const rows = <Row,>(answer: PromiseSettledResult<{ rows: Row[] }>): Row[] => (answer.status === "fulfilled" ? answer.value.rows : []);
      const [functions, workers, triggers, queues] = await Promise.allSettled([
        get<FunctionPage>("/api/v1/functions", typed ? parameters : { limit: EACH, sort: "calls", order: "desc" }, signal),
        get<WorkerPage>("/api/v1/workers", parameters, signal),
        get<TriggerPage>("/api/v1/triggers", parameters, signal),
        get<Page<QueueRow>>("/api/v1/queues", {}, signal),
      ]);
      return { functions: rows(functions), workers: rows(workers), triggers: rows(triggers), queues: rows(queues) };
    },
    placeholderData: (old) => old,
  }).data;

  const go = (path: string): (() => void) => () => {
    onClose();
    navigate(path);
  };
  const entries: Entry[] = [
    ...PLACES.filter((place) => matched(`${place.title} ${place.says}`, typed)).map((place) => ({ group: "Pages", title: place.title, says: place.says, icon: place.icon, run: go(place.path) })),
    ...(found?.functions ?? []).slice(0, EACH).map((row) => ({ group: "Functions", title: row.function_id, says: row.worker_name, icon: "functions" as const, run: go(to("/functions", { id: row.function_id, namespace: row.namespace === "default" ? null : row.namespace })) })),
    ...(found?.workers ?? []).slice(0, EACH).map((row) => ({ group: "Workers", title: row.name ?? row.id, says: row.runtime ?? "", icon: "workers" as const, run: go(to("/workers", { worker: row.id })) })),
    ...(found?.triggers ?? []).slice(0, EACH).map((row) => ({ group: "Triggers", title: row.summary, says: row.function_id, icon: "triggers" as const, run: go(to("/triggers", { id: row.id })) })),
    ...(found?.queues ?? []).filter((row) => matched(row.name, typed)).slice(0, EACH).map((row) => ({ group: "Queues", title: row.name, says: row.broker_type, icon: "queues" as const, run: go(to("/queues", { queue: row.name })) })),
    ...(/^[0-9a-f]{32}$/.test(typed.trim()) ? [{ group: "Traces", title: typed.trim(), says: "open this trace", icon: "traces" as const, run: go(to("/traces", { trace: typed.trim() })) }] : []),
    ...[
      { title: "Light theme", icon: "sun" as const, run: () => { putTheme("light"); onClose(); } },
      { title: "Dark theme", icon: "moon" as const, run: () => { putTheme("dark"); onClose(); } },
      { title: "Theme of the system", icon: "sun" as const, run: () => { putTheme("system"); onClose(); } },
    ].filter((entry) => matched(entry.title, typed)).map((entry) => ({ group: "Settings", says: "", ...entry })),
  ];
  const current = Math.min(at, entries.length - 1);
  const move = (by: number): void => {
    const next = (current + by + entries.length) % Math.max(1, entries.length);
    setAt(next);
    list.current?.querySelector(`[data-index="${next}"]`)?.scrollIntoView({ block: "nearest" });
  };
  return (
    <Dialog title="Go to" onClose={onClose} className="palette">
      <input
        className="input"
        role="combobox"
        aria-expanded="true"
        aria-controls={name}
        aria-activedescendant={current >= 0 ? `${name}-${current}` : undefined}
        aria-label="Go to a page, function, worker, trigger or queue"
        placeholder="Go to a page, function, worker, queue, trace id…"
        // eslint-disable-next-line jsx-a11y/no-autofocus -- a dialog that is opened to type in it
        autoFocus
        value={typed}
        onChange={(event) => { setTyped(event.target.value); setAt(0); }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") { event.preventDefault(); move(1); }
          else if (event.key === "ArrowUp") { event.preventDefault(); move(-1); }
          else if (event.key === "Enter") entries[current]?.run();
        }}
      />
      <ul id={name} role="listbox" aria-label="Found" ref={list}>
        {entries.length === 0 ? <li className="group">Nothing of that name.</li> : null}
        {entries.map((entry, index) => [
          entries[index - 1]?.group === entry.group ? null : (
            <li key={entry.group} className="group" role="presentation">
              {entry.group}
            </li>
          ),
          // eslint-disable-next-line jsx-a11y/click-events-have-key-events -- keys are the field's
          <li key={`${entry.group} ${index}`} id={`${name}-${index}`} data-index={index} role="option" aria-selected={index === current} onClick={entry.run} onPointerMove={() => setAt(index)}>
            <Icon name={entry.icon} />
            <Text limit={80} className="cut">{entry.title}</Text>
            <span className="muted cut grow end">{entry.says ? <Text limit={60}>{entry.says}</Text> : null}</span>
          </li>,
        ])}
      </ul>
    </Dialog>
  );
}
