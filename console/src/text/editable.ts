import type { Json } from "../api/types.ts";

/** A value as JSON that a person edits: what is invisible or turns the reading direction stands as an escape, which is the same JSON. */

const HIDDEN = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udfff]/g;

const escaped = (found: string): string => [...Array(found.length).keys()].map((index) => `\\u${found.charCodeAt(index).toString(16).padStart(4, "0")}`).join("");

export const editable = (value: Json): string => JSON.stringify(value, null, 2).replace(HIDDEN, escaped);

/** Whether a browser holds all numbers as they were written; it rounds whole ones beyond 2^53. */
export function exact(value: Json): boolean {
  const open: Json[] = [value];
  for (let each = open.pop(); each !== undefined; each = open.pop()) {
    if (typeof each === "number" && (!Number.isFinite(each) || (Number.isInteger(each) && !Number.isSafeInteger(each)))) return false;
    if (typeof each === "object" && each !== null) for (const inner of Object.values(each)) open.push(inner);
  }
  return true;
}

export const ROUNDED = "It has a whole number beyond ±9007199254740991, which a browser would round. Use `iii trigger queue::redrive_edited`.";

// A string, in which digits are no number, or a number
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const DIGITS = 17; // of a fraction, which a double tells apart

function held(token: string): boolean {
  const value = Number(token);
  const digits = token.replace(/[eE].*$/, "").replace(/[-.]/g, "").replace(/^0+/, "").replace(/0+$/, "");
  return exact(value) && (value === 0) === (digits === "") && digits.length <= DIGITS;
}

/** What was typed as JSON; throws a SyntaxError if it is none, or has a number that a browser would send as another one. */
export function parsed(text: string): Json {
  const value = JSON.parse(text) as Json;
  for (const [token] of text.matchAll(TOKENS)) {
    if (!token.startsWith('"') && !held(token)) throw new SyntaxError(`a browser would round the number ${token.slice(0, 40)}: send it with the command of iii, or as a string`);
  }
  return value;
}

/** What was typed, or what is wrong with it. */
export function edited(text: string): { value: Json } | { problem: string } {
  try {
    return { value: parsed(text) };
  } catch (error) {
    const problem = (error as Error).message;
    return { problem: problem.startsWith("a browser") ? `It is not sent: ${problem}.` : `This is not JSON: ${problem}` };
  }
}
