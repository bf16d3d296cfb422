import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo, useRef } from "react";

import { get, request } from "../api/http.ts";
import { KEPT, type Positions, positions } from "../text/positions.ts";
import { useMay } from "./session.ts";
import { failed } from "./toast.tsx";

const PATH = "/api/engine/_console/flows/config/map";
const SAVE_MS = 300;

/** Where boxes of the map were put, for everybody who looks at it; who may not set state moves them for himself alone. */
export function useLayout(): { places: Positions; move: (moved: Positions) => void; forget: () => void } {
  const client = useQueryClient();
  const may = useMay()("state::set");
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const found = useQuery({ queryKey: ["layout"], queryFn: ({ signal }) => get<{ config: unknown }>(PATH, {}, signal) });
  const places = useMemo(() => positions(found.data?.config), [found.data]);
  const keep = useCallback(
    (config: Positions) => {
      client.setQueryData(["layout"], { config });
      if (!may) return;
      if (timer.current) clearTimeout(timer.current);
      timer.current = setTimeout(() => void request("POST", PATH, { config }).catch(failed), SAVE_MS);
    },
    [client, may],
  );
  const move = useCallback((moved: Positions) => keep(Object.fromEntries(Object.entries({ ...places, ...moved }).slice(-KEPT))), [keep, places]);
  const forget = useCallback(() => keep({}), [keep]);
  return { places, move, forget };
}
