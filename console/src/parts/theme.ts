import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const KEY = "iii-theme";
const listeners = new Set<() => void>();

function chosen(): Theme {
  const value = document.documentElement.dataset["theme"];
  return value === "light" || value === "dark" ? value : "system";
}

export function shownTheme(): "light" | "dark" {
  const theme = chosen();
  if (theme !== "system") return theme;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function putTheme(theme: Theme): void {
  if (theme === "system") {
    delete document.documentElement.dataset["theme"];
    localStorage.removeItem(KEY);
  } else {
    document.documentElement.dataset["theme"] = theme;
    localStorage.setItem(KEY, theme);
  }
  listeners.forEach((listener) => listener());
}

export const useTheme = (): "light" | "dark" =>
  useSyncExternalStore((listener) => {
    listeners.add(listener);
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", listener);
    return () => {
      listeners.delete(listener);
      system.removeEventListener("change", listener);
    };
  }, shownTheme);
