/** Whether all letters of what was typed come in this order: `oview` finds `Overview`. Words may come in any order. */
export function matched(text: string, typed: string): boolean {
  const within = text.toLowerCase();
  return typed.toLowerCase().split(/\s+/).filter(Boolean).every((word) => {
    let at = -1;
    return [...word].every((letter) => (at = within.indexOf(letter, at + 1)) >= 0);
  });
}
