/** A list that the server keeps true by deltas: pure, so that gaps and orders can be tested. */

export interface Rows<Row> {
  rows: Row[];
  total: number;
  rev: number;
  /** false until the first whole list is there */
  ready: boolean;
  skipped: number;
  /** how often it was told that something changed: reload the page that is shown */
  changes: number;
  keys: string[];
  error: string | null;
}

export interface Message<Row> {
  t: string;
  id?: number;
  rev?: number;
  from?: number;
  rows?: Row[];
  set?: Row[];
  del?: (string | number)[];
  total?: number;
  skipped?: number;
  keys?: string[];
  error?: string;
}

export const EMPTY: Rows<never> = { rows: [], total: 0, rev: -1, ready: false, skipped: 0, changes: 0, keys: [], error: null };
export const KEPT_APPENDED = 2000;

/** The list after a message; null: a delta is missing, the list has to be asked for again. */
export function applied<Row>(state: Rows<Row>, message: Message<Row>, keyOf: (row: Row) => string | number): Rows<Row> | null {
  switch (message.t) {
    case "reset": {
      const rows = message.rows ?? [];
      return { ...state, rows, total: message.total ?? rows.length, rev: message.rev ?? 0, ready: true, skipped: 0, error: null };
    }
    case "delta": {
      if (!state.ready || message.from !== state.rev) return null;
      const gone = new Set(message.del ?? []);
      const fresh = new Map((message.set ?? []).map((row) => [keyOf(row), row]));
      const rows: Row[] = [];
      for (const row of state.rows) {
        const key = keyOf(row);
        const newer = fresh.get(key);
        if (newer !== undefined) {
          rows.push(newer);
          fresh.delete(key);
        } else if (!gone.has(key)) rows.push(row);
      }
      rows.push(...fresh.values());
      return { ...state, rows, total: message.total ?? rows.length, rev: message.rev ?? state.rev + 1 };
    }
    case "append": {
      if (!state.ready || message.from !== state.rev) return null;
      const rows = [...state.rows, ...(message.rows ?? [])].slice(-KEPT_APPENDED);
      return { ...state, rows, rev: message.rev ?? state.rev + 1, skipped: state.skipped + (message.skipped ?? 0) };
    }
    case "changed":
      return { ...state, rev: message.rev ?? state.rev, total: message.total ?? state.total, ready: true, changes: state.changes + 1, keys: message.keys ?? [] };
    case "error":
      return { ...state, ready: true, error: message.error ?? "refused" };
    case "reload":
      return null;
    default:
      return state;
  }
}
