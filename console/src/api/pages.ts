import { keepPreviousData, useQueries, useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";

import { get, type Parameters } from "./http.ts";
import type { Page } from "./types.ts";

const SIZE = 100;
const MOST_PAGES = 8; // in sight and a little around it
const AHEAD = 1; // pages before and after those in sight, so that their rows are there when they come into sight

export interface Paged<Answer> {
  first: Answer | undefined;
  total: number;
  loading: boolean;
  error: Error | null;
  rowAt: (index: number) => Answer extends { rows: (infer Row)[] } ? Row | undefined : never;
  onRange: (first: number, last: number) => void;
  reload: () => void;
}

/** A long list that the server filters and pages: only the pages in sight are asked for. */
export function usePages<Answer extends Page<unknown>>(path: string, parameters: Parameters): Paged<Answer> {
  const client = useQueryClient();
  const name = JSON.stringify(parameters);
  const [range, setRange] = useState({ from: 0, to: 0, name });
  const pages = useMemo(() => {
    const current = range.name === name ? range : { from: 0, to: 0 };
    const numbers = new Set([0]);
    for (let page = current.from; page <= current.to && numbers.size < MOST_PAGES; page += 1) numbers.add(page);
    const known = Math.ceil((client.getQueryData<Answer>([path, name, 0])?.total ?? 0) / SIZE);
    if (current.to > 0) for (const page of [current.to + AHEAD, current.from - AHEAD]) if (page >= 0 && page < known) numbers.add(page);
    return [...numbers].sort((a, b) => a - b);
  }, [range, name, client, path]);
  const answers = useQueries({
    queries: pages.map((page) => ({
      queryKey: [path, name, page],
      queryFn: ({ signal }: { signal: AbortSignal }) => get<Answer>(path, { ...parameters, offset: page * SIZE, limit: SIZE }, signal),
      placeholderData: page === 0 ? keepPreviousData : undefined,
      staleTime: 5000,
    })),
  });
  const byPage = new Map(pages.map((page, index) => [page, answers[index]?.data]));
  const first = byPage.get(0);
  const error = answers.find((answer) => answer.error)?.error ?? null;
  const rowAt = ((index: number) => byPage.get(Math.floor(index / SIZE))?.rows[index % SIZE]) as Paged<Answer>["rowAt"];
  const onRange = useCallback(
    (from: number, to: number) => {
      const next = { from: Math.floor(from / SIZE), to: Math.floor(to / SIZE), name };
      setRange((old) => (old.from === next.from && old.to === next.to && old.name === name ? old : next));
    },
    [name],
  );
  const reload = useCallback(() => void client.invalidateQueries({ queryKey: [path] }), [client, path]);
  return { first, total: first?.total ?? 0, loading: first === undefined && error === null, error, rowAt, onRange, reload };
}
