import { useQuery } from "@tanstack/react-query";

import { ask } from "../api/http.ts";
import type { Span } from "../api/types.ts";

/** One trace as the engine nests its spans; nothing is asked for without an id. */
export const useTree = (id: string) => useQuery({ queryKey: ["trace", id], queryFn: ({ signal }) => ask<{ roots: Span[] }>("engine::traces::tree", { trace_id: id }, signal), enabled: id !== "" });
