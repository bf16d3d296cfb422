import { createContext, useContext } from "react";

import type { Session } from "../api/types.ts";

export const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("no session");
  return session;
}

/** Whether this session may call that function: what is refused is not offered. */
export function useMay(): (functionId: string) => boolean {
  const { refused } = useSession();
  return (functionId) => !refused.includes(functionId);
}
