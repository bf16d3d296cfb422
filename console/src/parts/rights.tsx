import type { AllowedRow, RightsRow } from "../api/answers.ts";
import { Block, Facts } from "./page.tsx";
import { Text } from "./text.tsx";

const ENTRANCES: Record<string, string> = { token: "token", certificate: "certificate", auth: "auth function", anonymous: "no token asked for" };

export const letIn = (rights: RightsRow | null): string => (rights === null ? "anyone" : rights.entrance === "token" || rights.entrance === "certificate" ? rights.who : (ENTRANCES[rights.entrance] ?? rights.who));

function Texts({ label, of, none }: { label: string; of: string[]; none: string }) {
  if (of.length === 0) return <p className="muted">{none}</p>;
  return <ul className="names" aria-label={label}>{of.map((text, index) => <li key={index}><Text mono limit={200} className="wrap-text">{text}</Text></li>)}</ul>;
}

function Filters({ label, of, none }: { label: string; of: AllowedRow[]; none: string }) {
  if (of.length === 0) return <p className="muted">{none}</p>;
  return (
    <div role="group" aria-label={label} className="stack tight">
      {of.map((each, index) => (
        <details key={index} open={(each.match?.length ?? 1) <= 8}>
          <summary>{each.namespace === null ? "in any namespace" : <>in <Text mono>{each.namespace}</Text></>}{each.match ? `, ${each.match.length} ${each.match.length === 1 ? "pattern" : "patterns"}` : ", by metadata"}</summary>
          {each.match ? <Texts label="Patterns" of={each.match} none="none" /> : <Text mono limit={300} className="wrap-text">{JSON.stringify(each.metadata)}</Text>}
        </details>
      ))}
    </div>
  );
}

/** What one session may do, in the order in which the engine judges. */
export function Rights({ rights }: { rights: RightsRow | null }) {
  if (rights === null) return <p className="note">Its listener asks for no login (no <code>rbac</code>): it may call and register everything.</p>;
  const some = (of: string[] | null, many = "patterns"): string => (of === null ? "all" : of.length === 0 ? "none" : of.length > 6 ? `${of.length} ${many}` : of.join(", "));
  return (
    <>
      <Facts of={[["Let in by", <Text key="in">{`${ENTRANCES[rights.entrance] ?? rights.entrance}: ${rights.who}`}</Text>], ["Listener", <Text key="l">{rights.listener}</Text>], ["Roles", rights.roles.length ? rights.roles.join(", ") : "none"], ["Registers functions", <Text key="r" limit={200}>{some(rights.registers)}</Text>], ["Trigger types", <Text key="t" limit={200}>{some(rights.trigger_types, "types")}</Text>], ["New trigger types", rights.registers_trigger_types ? "yes" : "no"], ["Functions that are URLs", rights.calls_urls ? "yes" : "no"], ["Namespaces", <Text key="n" limit={200}>{rights.namespaces.length ? rights.namespaces.join(", ") : "all"}</Text>], ["Prefix", rights.prefix === null ? "–" : <Text key="p" mono>{rights.prefix}</Text>]]} />
      {rights.forbidden.length ? <Block title="Forbidden" note="whatever else allows it"><Texts label="Forbidden" of={rights.forbidden} none="" /></Block> : null}
      <Block title="May call" note="its own rights"><Filters label="May call" of={rights.allowed} none="Nothing by its own rights." /></Block>
      <Block title="Exposed to all" note={`by the listener ${rights.listener.slice(0, 40)}`}><Filters label="Exposed to all" of={rights.exposed} none="The listener exposes nothing to all." /></Block>
    </>
  );
}
