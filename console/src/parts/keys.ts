import { useLayoutEffect, useRef } from "react";

/** Shortcuts: one listener; what is being typed is never taken for a shortcut. */

type Handler = (event: KeyboardEvent) => void;

export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

const stack: { current: Record<string, Handler> }[] = [];

function dispatch(event: KeyboardEvent): void {
  if (event.defaultPrevented) return;
  const held = event.ctrlKey || event.metaKey;
  const name = held ? `Mod+${event.key.toLowerCase()}` : event.key;
  if (event.altKey) return;
  if (!held && isTyping(event.target) && event.key !== "Escape") return;
  if (document.querySelector("dialog[open]") && name !== "Mod+k") return;
  for (const { current } of [...stack].reverse()) {
    const handler = current[name];
    if (!handler) continue;
    event.preventDefault();
    handler(event);
    return;
  }
}

/** Keys of what is mounted; what was mounted last is asked first. Before the paint: what is seen can be used. */
export function useKeys(keys: Record<string, Handler>): void {
  const held = useRef(keys);
  useLayoutEffect(() => {
    held.current = keys;
  });
  useLayoutEffect(() => {
    if (stack.length === 0) document.addEventListener("keydown", dispatch);
    stack.push(held);
    return () => {
      stack.splice(stack.indexOf(held), 1);
      if (stack.length === 0) document.removeEventListener("keydown", dispatch);
    };
  }, []);
}
