import type { CallResult, Json, Session } from "./types.ts";

/** What the server refused or could not do: its own text, which names the thing and the remedy. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string | null;

  constructor(status: number, message: string, code: string | null = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}

export type Parameters = Record<string, string | number | boolean | null | undefined>;

const NO_ANSWER = "The console's server does not answer. Is `iii` (or `iii console`) still running?";

let csrf: string | null = null;
const onLoginRequired = new Set<() => void>();

export function whenLoginIsRequired(listener: () => void): () => void {
  onLoginRequired.add(listener);
  return () => onLoginRequired.delete(listener);
}

export function query(parameters: Parameters): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "" && value !== false) search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : "";
}

async function failure(response: Response): Promise<ApiError> {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as { error?: string; code?: string };
    return new ApiError(response.status, body.error ?? text, body.code ?? null);
  } catch {
    return new ApiError(response.status, text || `${response.status} ${response.statusText}`);
  }
}

export async function request<Result>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Result> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf !== null) headers["X-CSRF-Token"] = csrf;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
      credentials: "same-origin",
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, NO_ANSWER, "NO_ANSWER");
  }
  if (!response.ok) {
    const error = await failure(response);
    if (error.code === "LOGIN_REQUIRED") onLoginRequired.forEach((listener) => listener());
    throw error;
  }
  if (!response.headers.get("content-type")?.includes("json")) throw new ApiError(501, `The console's server does not know ${path}: it is older than this page. Reload the page.`);
  return (await response.json()) as Result;
}

export const get = <Result>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<Result> =>
  request<Result>("GET", path + query(parameters), undefined, signal);

/** A function of the engine that only reads. */
export const ask = <Result>(functionId: string, payload: unknown = {}, signal?: AbortSignal): Promise<Result> =>
  request<Result>("POST", "/api/v1/ask", { function_id: functionId, payload }, signal);

export interface CallOptions {
  namespace?: string;
  metadata?: Json;
  timeout_ms?: number;
  action?: { type: "void" } | { type: "enqueue"; queue: string; delayMs?: number; deduplicationId?: string };
}

/** Any function: it is in the audit log. What the function refused is a result as well. */
export const call = (functionId: string, payload: unknown, options: CallOptions = {}, signal?: AbortSignal): Promise<CallResult> =>
  request<CallResult>("POST", "/api/v1/call", { function_id: functionId, payload, ...options }, signal);

/** A deed of a page: what the engine refuses is thrown. */
export async function act(functionId: string, payload: unknown, options: CallOptions = {}): Promise<Json> {
  const answer = await call(functionId, payload, options);
  if (!answer.ok) throw new ApiError(502, answer.error?.message ?? "refused", answer.error?.code ?? null);
  return answer.result ?? null;
}

function kept(session: Session): Session {
  csrf = session.csrf;
  return session;
}

export const session = async (): Promise<Session> => kept(await get<Session>("/api/v1/session"));
export const login = async (token: string): Promise<Session> => kept(await request<Session>("POST", "/api/v1/login", { token }));
export const logout = async (): Promise<void> => {
  await request("POST", "/api/v1/logout");
  csrf = null;
};
