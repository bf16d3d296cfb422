import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";

import { applied, EMPTY, type Message, type Rows } from "./rows.ts";

export interface Connection {
  /** of the browser to the console's server */
  socket: "connecting" | "open" | "lost";
  /** of the console's server to the engine */
  engine: boolean;
  retryAt: number | null;
}

type KeyOf = (row: never) => string | number;

interface Subscription {
  id: number;
  topic: string;
  params: unknown;
  keyOf: KeyOf;
  state: Rows<never>;
  listeners: Set<() => void>;
  lingering: ReturnType<typeof setTimeout> | null;
  dirty: boolean;
}

const LINGER_MS = 4000; // going to another page and back asks for nothing again
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8000;
const FLUSH_MS = 100; // a screen that is hidden has no frames

class Live {
  private socket: WebSocket | null = null;
  private readonly subscriptions = new Map<string, Subscription>();
  private readonly byId = new Map<number, Subscription>();
  private next = 1;
  private retryMs = FIRST_RETRY_MS;
  private retry: ReturnType<typeof setTimeout> | null = null;
  private flushing = false;
  private stopped = true;
  private readonly watchers = new Set<() => void>();
  connection: Connection = { socket: "connecting", engine: true, retryAt: null };

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.connect();
  }

  stop(): void {
    this.stopped = true;
    if (this.retry) clearTimeout(this.retry);
    this.socket?.close();
    this.socket = null;
  }

  now(): void {
    if (this.connection.socket !== "lost") return;
    if (this.retry) clearTimeout(this.retry);
    this.connect();
  }

  watch = (listener: () => void): (() => void) => {
    this.watchers.add(listener);
    return () => this.watchers.delete(listener);
  };

  private tell(change: Partial<Connection>): void {
    this.connection = { ...this.connection, ...change };
    this.watchers.forEach((listener) => listener());
  }

  private connect(): void {
    const url = new URL("/ws/live", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onopen = () => {
      this.retryMs = FIRST_RETRY_MS;
      this.tell({ socket: "open", retryAt: null });
      for (const subscription of this.byId.values()) this.ask(subscription);
    };
    socket.onmessage = (event: MessageEvent<string>) => this.hear(JSON.parse(event.data) as Message<never> & { connected?: boolean; engine?: { connected: boolean } });
    socket.onclose = () => {
      if (this.socket !== socket || this.stopped) return;
      const wait = this.retryMs * (0.75 + Math.random() / 2);
      this.retryMs = Math.min(this.retryMs * 2, LAST_RETRY_MS);
      this.tell({ socket: "lost", retryAt: Date.now() + wait });
      this.retry = setTimeout(() => this.connect(), wait);
    };
  }

  private hear(message: Message<never> & { connected?: boolean; engine?: { connected: boolean } }): void {
    if (message.t === "hello") this.tell({ engine: message.engine?.connected ?? true });
    else if (message.t === "engine") this.tell({ engine: message.connected ?? true });
    const subscription = message.id === undefined ? undefined : this.byId.get(message.id);
    if (!subscription) return;
    const state = applied(subscription.state, message, subscription.keyOf);
    if (state === null) {
      this.ask(subscription);
      return;
    }
    subscription.state = state;
    subscription.dirty = true;
    this.flushSoon();
  }

  private flushSoon(): void {
    if (this.flushing) return;
    this.flushing = true;
    const flush = (): void => {
      this.flushing = false;
      for (const subscription of this.byId.values()) {
        if (!subscription.dirty) continue;
        subscription.dirty = false;
        subscription.listeners.forEach((listener) => listener());
      }
    };
    if (document.hidden) setTimeout(flush, FLUSH_MS);
    else requestAnimationFrame(flush);
  }

  private send(frame: unknown): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  private ask(subscription: Subscription): void {
    this.send({ op: "sub", topic: subscription.topic, id: subscription.id, ...(subscription.params === null ? {} : { params: subscription.params }) });
  }

  /** The one subscription to this topic with these parameters; it lingers a little after its last listener. */
  find(topic: string, params: unknown, keyOf: KeyOf): Subscription {
    const key = `${topic} ${JSON.stringify(params)}`;
    let subscription = this.subscriptions.get(key);
    if (!subscription) {
      subscription = { id: 0, topic, params, keyOf, state: EMPTY, listeners: new Set(), lingering: null, dirty: false };
      this.subscriptions.set(key, subscription);
    }
    return subscription;
  }

  listen(subscription: Subscription, listener: () => void): () => void {
    if (subscription.lingering) clearTimeout(subscription.lingering);
    subscription.lingering = null;
    subscription.listeners.add(listener);
    if (!this.byId.has(subscription.id)) {
      subscription.id = this.next++;
      this.subscriptions.set(`${subscription.topic} ${JSON.stringify(subscription.params)}`, subscription);
      this.byId.set(subscription.id, subscription);
      this.ask(subscription);
    }
    return () => {
      subscription.listeners.delete(listener);
      if (subscription.listeners.size === 0) subscription.lingering = setTimeout(() => this.drop(subscription), LINGER_MS);
    };
  }

  private drop(subscription: Subscription): void {
    this.byId.delete(subscription.id);
    this.subscriptions.delete(`${subscription.topic} ${JSON.stringify(subscription.params)}`);
    this.send({ op: "unsub", id: subscription.id });
  }
}

export const live = new Live();

export const useConnection = (): Connection => useSyncExternalStore(live.watch, () => live.connection);

const idle = (): (() => void) => () => undefined;

/** Rows of a topic, kept true by the server; `null` as topic: nothing is asked for. */
export function useLive<Row>(topic: string | null, keyOf: (row: Row) => string | number, params: unknown = null): Rows<Row> {
  const asked = JSON.stringify(params);
  const subscription = useMemo(
    () => (topic === null ? null : live.find(topic, JSON.parse(asked) as unknown, keyOf as unknown as KeyOf)),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- keyOf only reads a member
    [topic, asked],
  );
  const subscribe = useMemo(() => (subscription ? (listener: () => void) => live.listen(subscription, listener) : idle), [subscription]);
  return useSyncExternalStore(subscribe, () => (subscription ? subscription.state : EMPTY));
}

const RELOAD_MS = 1000;

/** Calls `reload` when the topic says that something changed: at once, and then once a second at most. */
export function useChanges(topic: string | null, reload: (keys: string[]) => void, params: unknown = null): void {
  const { changes, keys } = useLive<never>(topic, () => "", params);
  const last = useRef(0);
  const seen = useRef<string[]>([]);
  useEffect(() => {
    if (changes === 0) return;
    seen.current = [...new Set([...seen.current, ...keys])];
    const run = (): void => {
      last.current = Date.now();
      const told = seen.current;
      seen.current = [];
      reload(told);
    };
    const wait = last.current + RELOAD_MS - Date.now();
    if (wait <= 0) {
      run();
      return;
    }
    const timer = setTimeout(run, wait);
    return () => clearTimeout(timer);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- only a change reloads
  }, [changes]);
}
