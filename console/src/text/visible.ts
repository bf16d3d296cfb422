/** Text of a worker as it can be shown safely: what is invisible or turns the reading direction becomes a visible sign. */

export const CUT_AT = 400;

const PICTURES = 0x2400;

// Bidirectional controls and isolates, zero-width signs, line and paragraph separators, byte order mark, tag characters
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\udb40[\udc00-\udfff]/g;

function sign(found: string): string {
  const code = found.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(PICTURES + code);
  if (code === 0x7f) return "\u2421";
  return `⟨${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

export function visible(text: string, limit: number = CUT_AT): string {
  const piece = text.length > limit ? text.slice(0, limit) : text;
  return piece.replace(HIDDEN, sign);
}

/** For one line: line ends and tabs are shown as signs too. */
export const oneLine = (text: string, limit: number = CUT_AT): string => visible(text, limit).replace(/[\n\t]/g, sign);

export const left = (text: string, limit: number): number => Math.max(0, text.length - limit);
