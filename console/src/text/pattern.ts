/** What lines of a log have in common: numbers, ids and quoted words become a dot. */
export function pattern(text: string): string {
  return text
    .slice(0, 300)
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, "•")
    .replace(/\b[0-9a-f]{12,}\b/gi, "•")
    .replace(/"[^"]*"|'[^']*'/g, "•")
    .replace(/[-+]?\d+(?:[.:,]\d+)*/g, "•")
    .replace(/\s+/g, " ")
    .trim();
}
