/** Rows as the console's server sends them (docs/spec/23-console.md). Any text in them was set by a worker: show it through <Text>. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Facet { value: string; count: number }

export interface Page<Row> { rows: Row[]; total: number; offset: number; limit: number }

export interface Session {
  login_required: boolean;
  logged_in: boolean;
  who: string | null;
  trusted: boolean;
  csrf: string | null;
  mode: "module" | "remote";
  engine: { connected: boolean; url: string; version: string | null };
  refused: string[];
  may_proxy: boolean;
}

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

export interface WorkerRow {
  id: string;
  name: string | null;
  namespace: string;
  description: string | null;
  runtime: string | null;
  version: string | null;
  os: string | null;
  ip_address: string | null;
  status: string;
  isolation: string | null;
  connected_at_ms: number;
  function_count: number;
  active_invocations: number;
  latest_metrics: WorkerMetrics | null;
  pid?: number | null;
  telemetry?: { language?: string | null; project_name?: string | null; framework?: string | null } | null;
  internal: boolean;
  activity?: string | null;
}

export interface WorkerPage extends Page<WorkerRow> { runtimes: Facet[]; statuses: Facet[]; namespaces: Facet[] }

export interface WorkerDetail {
  worker: WorkerRow;
  functions: ({ function_id: string; namespace?: string; description?: string | null } | string)[];
  registered_triggers: TriggerRow[];
  trigger_types: ({ id: string } | string)[];
}

export interface Figures {
  calls: number | null;
  errors: number | null;
  running: number | null;
  rate: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
}

export interface FunctionRow extends Figures {
  function_id: string;
  namespace: string;
  worker_name: string | null;
  description: string | null;
  metadata: Json;
  internal: boolean;
  replicas: number | null;
  has_schema: boolean;
  triggers: number;
}

export interface FunctionPage extends Page<FunctionRow> { groups: Facet[]; workers: Facet[]; namespaces: Facet[] }

export interface FunctionDetail {
  function: {
    function_id: string;
    namespace: string;
    worker_name: string | null;
    description?: string | null;
    metadata?: Json;
    request_schema?: Json;
    response_schema?: Json;
    internal: boolean;
    registered_triggers?: { id: string; trigger_type: string; config: Json }[];
  };
  figures: (Figures & { bounds_s?: number[]; bucket_counts?: number[] }) | null;
  triggers: TriggerRow[];
  callers: { kind: string; label: string; service?: string | null; calls: number }[];
  may_call: boolean;
}

export interface TriggerRow {
  id: string;
  trigger_type: string;
  function_id: string;
  namespace?: string;
  worker_name?: string | null;
  config: Json;
  metadata?: Json;
  internal?: boolean;
  state?: "active" | "pending";
  summary?: string;
  http?: { method: string; path: string; params: string[] };
  cron?: { expression: string; text: string; timezone: string | null; next: number[] };
  topic?: string;
}

export interface TriggerPage extends Page<TriggerRow> { types: Facet[] }

export interface QueueRow {
  name: string;
  broker_type: string;
  depth: number | null;
  in_flight: number | null;
  delayed: number | null;
  dlq_depth: number | null;
  consumer_count: number | null;
  paused: boolean | null;
  delivered: number | null;
  failed: number | null;
}

export interface DeadRow {
  id: string;
  payload: Json;
  error: string;
  reason?: string;
  failed_at: number;
  retries: number;
  size_bytes: number;
  /** of a payload that is shown by its beginning */
  payload_bytes?: number | null;
}

export interface DeadPage { rows: DeadRow[]; total: number; groups: { reason: string; count: number; first_ms: number; last_ms: number }[]; scanned: number; complete: boolean }

export interface Sample {
  at_ms: number;
  calls_s: number | null;
  errors_s: number | null;
  running: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  workers: number | null;
  queue_depth: number | null;
  dlq: number | null;
  oldest_age_s: number | null;
  lag_ms: number | null;
}

export interface Rate { function_id: string; calls: number; errors: number; running: number; rate: number; error_rate: number; p50_ms: number | null; p95_ms: number | null; p99_ms: number | null }

export interface HealthRow { name: string; status: string; details?: Json; version?: string | null }

export interface Overview {
  workers: { total: number; modules: number; by_status: Record<string, number> } | null;
  functions: number | null;
  triggers: number | null;
  queues: { count: number; depth: number; in_flight: number; dlq: number } | null;
  alerts_firing: number | null;
  calls: { total: number | null; errors: number | null; running: number | null; p50_ms: number | null; p95_ms: number | null; p99_ms: number | null } | null;
  changes: EngineEvent[];
}

/** Something that happened in the engine, out of its log. */
export interface EngineEvent { at_ms: number; event: string; severity: string; text: string; trace_id: string | null; fields: Record<string, Json> }

export type Attributes = [string, Json][] | Record<string, Json>;

export interface SpanEvent { name: string; timestamp_unix_nano: number; attributes?: Attributes }

export interface Span {
  trace_id: string;
  span_id: string;
  parent_span_id?: string | null;
  name: string;
  kind?: string | number | null;
  start_time_unix_nano: number;
  end_time_unix_nano: number | null;
  status: string;
  status_description?: string | null;
  attributes: Attributes;
  events?: SpanEvent[];
  links?: { trace_id: string; span_id: string; attributes?: Attributes }[];
  flags?: number | null;
  service_name?: string | null;
  resource?: Json;
  running?: boolean;
  pending?: boolean;
  children?: Span[];
}

export interface LogRow {
  timestamp_unix_nano: number;
  observed_timestamp_unix_nano?: number;
  trace_id: string | null;
  span_id: string | null;
  severity_number: number;
  severity_text: string;
  body: Json;
  attributes: Record<string, Json>;
  resource?: Record<string, Json>;
  service_name?: string | null;
  instrumentation_scope_name?: string | null;
}

export interface CallResult { ok: boolean; result?: Json; error?: { code: string; message: string; stacktrace?: string | null }; duration_ms: number; trace_id: string | null }

export interface ActionRow { at_ms: number; who: string | null; address: string | null; action: string; target: string | null; ok: boolean; error: string | null }

export interface FlowNode { id: string; kind: string; label: string; calls: number; errors: number; p95_ms: number | null }
export interface FlowEdge { from: string; to: string; kind: string; calls: number; errors: number; rate: number }
export interface FlowMap { nodes: FlowNode[]; edges: FlowEdge[]; from_ms: number; to_ms: number; complete: boolean }
