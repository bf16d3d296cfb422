/** Rows as pages know them, made of what the server declares (answers.ts). Any text in them was set by a worker: show it through <Text>. */
import type {
  ComponentHealth,
  DeadLetterRow,
  FacetValue as Facet,
  FunctionDetail as FunctionInfo,
  FunctionStory,
  CallHistogram,
  ListedSpan,
  LogRecord,
  RegisteredTriggerRow,
  ShownFunction,
  ShownTrigger,
  TopicStats,
  TriggerTypeRow,
  WorkerRow as ConnectedWorker,
} from "./answers.ts";

export type { ActionRow, CallOutcome as CallResult, EngineEvent, FacetValue as Facet, FlowEdge, FlowMap, FlowNode, FunctionPage, Overview, Rate, MetricsSample as Sample, SessionSeen as Session, SpanEvent, TriggerPage } from "./answers.ts";
export type { Json } from "./json.ts";

export interface Page<Row> { rows: Row[]; total: number; offset: number; limit: number }

/** What SDKs report of their process. */
export interface WorkerMetrics {
  cpu_percent?: number | null;
  event_loop_lag_ms?: number | null;
  memory_heap_used?: number | null;
  memory_heap_total?: number | null;
  memory_rss?: number | null;
  memory_external?: number | null;
  timestamp_ms?: number | null;
  uptime_seconds?: number | null;
}

export type WorkerRow = Omit<ConnectedWorker, "functions" | "latest_metrics"> & { latest_metrics?: WorkerMetrics | null };
export interface WorkerPage extends Page<WorkerRow> { runtimes: Facet[]; statuses: Facet[]; namespaces: Facet[] }
export interface WorkerDetail { worker: WorkerRow; functions: { function_id: string; namespace: string; description?: string | null }[]; registered_triggers: RegisteredTriggerRow[]; trigger_types: TriggerTypeRow[] }

/** With what it did in the last seconds, if it was called lately. */
export type FunctionRow = ShownFunction & { rate?: number | null };
export type FunctionDetail = Omit<FunctionStory, "function"> & { function: FunctionInfo & { internal: boolean } };
export type Figures = CallHistogram;
export type TriggerRow = ShownTrigger;

export type QueueRow = TopicStats & { name: string; broker_type: string };
export type DeadRow = DeadLetterRow & { reason: string };
export interface DeadPage { rows: DeadRow[]; total: number; groups: { reason: string; count: number; first_ms: number; last_ms: number }[]; scanned: number; complete: boolean }

export type HealthRow = Partial<ComponentHealth> & { name: string; status: string; version?: string };

export type Attributes = ListedSpan["attributes"];
export type Span = ListedSpan & { running?: boolean; children?: Span[] };
export type LogRow = LogRecord;
