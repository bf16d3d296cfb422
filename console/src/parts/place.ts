import { useCallback } from "react";
import { useLocation, useSearch } from "wouter";

/** The state of a page is its address: every filter and selection is a parameter there. */
export function usePlace(): { at: (name: string) => string; put: (changes: Record<string, string | null>, options?: { replace?: boolean }) => void; path: string; search: string } {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const at = useCallback((name: string) => new URLSearchParams(search).get(name) ?? "", [search]);
  const put = useCallback(
    (changes: Record<string, string | null>, options: { replace?: boolean } = {}) => {
      const next = new URLSearchParams(location.search);
      for (const [name, value] of Object.entries(changes)) {
        if (value === null || value === "") next.delete(name);
        else next.set(name, value);
      }
      const text = next.toString();
      navigate(`${location.pathname}${text ? `?${text}` : ""}`, { replace: options.replace ?? false });
    },
    [navigate],
  );
  return { at, put, path, search };
}

export function to(path: string, parameters: Record<string, string | null | undefined> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value) search.set(name, value);
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}
