import "@xyflow/react/dist/style.css";

import { Background, BackgroundVariant, Controls, type Edge, MarkerType, MiniMap, type Node, Position, ReactFlow, useNodesState } from "@xyflow/react";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { useLocation } from "wouter";

import { get } from "../api/http.ts";
import type { FlowMap, FlowNode } from "../api/types.ts";
import { useLayout } from "../parts/layout.ts";
import { Empty, Failure, Head, Search, Segments, Waiting } from "../parts/page.tsx";
import { to, usePlace } from "../parts/place.ts";
import { useTheme } from "../parts/theme.ts";
import { Toggle } from "../parts/toggle.tsx";
import { ranked } from "../text/ranked.ts";
import { count, duration, rate } from "../text/format.ts";
import { oneLine } from "../text/visible.ts";

const RANGES = [{ value: "5", title: "5 min" }, { value: "15", title: "15 min" }, { value: "60", title: "1 h" }];
// Of a box, with the room around it: when callers stand left of what they call, and when they stand above
const ACROSS = { along: 258, beside: 84 };
const DOWN = { along: 112, beside: 214 };
const AROUND = { x: 230, y: 110 };

/** Callers above what they call, where a long chain would be too small to read from left to right. */
function isTall(places: Map<string, { column: number; line: number }>): boolean {
  const along = 1 + Math.max(0, ...[...places.values()].map((place) => place.column));
  const beside = 1 + Math.max(0, ...[...places.values()].map((place) => place.line));
  const [width, height] = [innerWidth - AROUND.x, innerHeight - AROUND.y];
  const across = Math.min(width / (along * ACROSS.along), height / (beside * ACROSS.beside), 1);
  return Math.min(width / (beside * DOWN.beside), height / (along * DOWN.along), 1) > across;
}
const MOST = 300;

function pageOf(node: FlowNode): string | null {
  const name = node.label;
  switch (node.kind) {
    case "function": return to("/functions", { id: name });
    case "worker": return to("/workers", { q: name });
    case "http":
    case "cron": return to("/triggers", { q: name });
    case "queue": return to("/queues", { queue: name });
    case "topic": return to("/triggers", { q: name });
    case "state": return to("/state", { scope: name });
    case "stream": return to("/streams", { q: name });
    default: return null;
  }
}

function Label({ node }: { node: FlowNode }) {
  return (
    <div className={`flow-node kind-${node.kind}`}>
      <div className="row"><span className="flow-kind">{node.kind}</span><span className="grow" />{node.errors ? <span className="tag bad">{count(node.errors)}</span> : null}</div>
      <div className="mono cut" title={oneLine(node.label, 200)}>{oneLine(node.label, 60)}</div>
      <div className="muted small-text">{node.calls ? `${count(node.calls)} calls${node.p95_ms === null ? "" : `, p95 ${duration(node.p95_ms)}`}` : "no calls"}</div>
    </div>
  );
}

export default function Flow() {
  const { at, put } = usePlace();
  const [, navigate] = useLocation();
  const theme = useTheme();
  const minutes = at("minutes") || "15";
  const found = useQuery({ queryKey: ["flow", minutes], queryFn: ({ signal }) => get<FlowMap>("/api/v1/flow", { minutes }, signal), refetchInterval: 15_000 });
  const search = at("q").toLowerCase();
  const idle = at("idle") === "true";
  const { places, move, forget } = useLayout();
  const { made, edges } = useMemo(() => {
    const map = found.data;
    if (!map) return { made: [], edges: [] };
    const wanted = new Set(map.nodes.filter((node) => !search || node.label.toLowerCase().includes(search)).map((node) => node.id));
    // With a search: what was found and its neighbours
    if (search) for (const edge of map.edges) if (wanted.has(edge.from) || wanted.has(edge.to)) { wanted.add(edge.from); wanted.add(edge.to); }
    const calling = new Set(map.edges.filter((edge) => edge.rate > 0).flatMap((edge) => [edge.from, edge.to]));
    const quiet = (node: FlowNode): boolean => !idle && node.calls === 0 && !calling.has(node.id);
    if (!search && map.nodes.some((node) => !quiet(node))) for (const node of map.nodes) if (quiet(node)) wanted.delete(node.id);
    const shown = map.nodes.filter((node) => wanted.has(node.id)).sort((a, b) => b.calls - a.calls).slice(0, MOST);
    const ids = new Set(shown.map((node) => node.id));
    const lines = map.edges.filter((edge) => ids.has(edge.from) && ids.has(edge.to));
    const ranks = ranked(shown.map((node) => node.id), lines);
    const tall = isTall(ranks);
    const boxes: Node[] = shown.map((node) => {
      const place = ranks.get(node.id) ?? { column: 0, line: 0 };
      return { id: node.id, position: places[node.id] ?? (tall ? { x: place.line * DOWN.beside, y: place.column * DOWN.along } : { x: place.column * ACROSS.along, y: place.line * ACROSS.beside }), data: { label: <Label node={node} /> }, sourcePosition: tall ? Position.Bottom : Position.Right, targetPosition: tall ? Position.Top : Position.Left, className: "flow-box", ariaLabel: `${node.kind} ${oneLine(node.label, 80)}`, connectable: false };
    });
    const busiest = Math.max(0.001, ...lines.map((edge) => edge.rate));
    const drawn: Edge[] = lines.map((edge) => ({ id: `${edge.from}\n${edge.to}\n${edge.kind}`, source: edge.from, target: edge.to, ariaLabel: `Edge from ${oneLine(edge.from)} to ${oneLine(edge.to)}`, label: edge.rate > 0 ? `${rate(edge.rate)}/s` : "", animated: edge.rate > 0, markerEnd: { type: MarkerType.ArrowClosed, width: 16, height: 16, markerUnits: "userSpaceOnUse" }, style: { strokeWidth: 1 + (edge.rate / busiest) * 1.2, ...(edge.errors > 0 ? { stroke: "var(--bad)" } : {}) } }));
    return { made: boxes, edges: drawn };
  }, [found.data, search, places, idle]);
  const [nodes, setNodes, onNodesChange] = useNodesState<Node>([]);
  useEffect(() => {
    // One that is just being moved stays in the hand, and all keep the size that they were measured with
    setNodes((old) => {
      const known = new Map(old.map((node) => [node.id, node]));
      return made.map((node) => {
        const before = known.get(node.id);
        return before ? { ...before, ...node, position: before.dragging ? before.position : node.position } : node;
      });
    });
  }, [made, setNodes]);
  return (
    <>
      <Head title="Flow" note="how functions, triggers, queues and streams really call each other" />
      <div className="tools">
        <Search value={at("q")} onChange={(q) => put({ q }, { replace: true })} label="Search the map" />
        <Segments label="Time" value={minutes} options={RANGES} onChange={(value) => put({ minutes: value === "15" ? null : value })} />
        <Toggle on={idle} onChange={(on) => put({ idle: on ? "true" : null })}>Idle ones too</Toggle>
        {Object.keys(places).length > 0 ? <button type="button" className="button" onClick={forget}>Lay out by itself</button> : null}
        {found.data && !found.data.complete ? <span className="tag warn">out of a part of the spans</span> : null}
      </div>
      {found.error ? <div className="tools"><Failure error={found.error} retry={() => void found.refetch()} /></div> : null}
      {found.isPending ? <div className="body"><Waiting /></div> : null}
      {found.data && made.length === 0 ? <Empty title={search ? "Nothing of that name" : "Nothing was called lately"}>The map is drawn out of the calls of the last minutes and of what is registered.</Empty> : null}
      {nodes.length > 0 && made.length > 0 ? (
        <div className="flow">
          <ReactFlow key={`${minutes} ${made.length}`} nodes={nodes} edges={edges} onNodesChange={onNodesChange} onNodeDragStop={(_event, _node, moved) => move(Object.fromEntries(moved.map((node) => [node.id, { x: Math.round(node.position.x), y: Math.round(node.position.y) }])))} fitView minZoom={0.1} colorMode={theme} nodesDraggable nodesConnectable={false} proOptions={{ hideAttribution: true }} onNodeDoubleClick={(_event, node) => { const found_ = found.data?.nodes.find((each) => each.id === node.id); const page = found_ ? pageOf(found_) : null; if (page) navigate(page); }}>
            <Background variant={BackgroundVariant.Dots} gap={20} size={1} />
            <Controls showInteractive={false} />
            {nodes.length > 20 ? <MiniMap pannable zoomable /> : null}
          </ReactFlow>
        </div>
      ) : null}
    </>
  );
}
