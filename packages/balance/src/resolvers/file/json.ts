/** @module JSON as somebody has written it: where it stops being JSON, and what it may be instead. */
import type { ConfigProblem } from '@fairlead/core';

/** Positions are looked for in texts up to this length: each look parses anew. In characters. */
const maxSearched = 1_048_576;

/**
 * Parses UTF-8 with or without a byte order mark.
 * @param problems gets what is wrong, with line, column and what stands there
 * @returns undefined if anything is wrong
 */
export function parseJson(bytes: Uint8Array, problems: ConfigProblem[]): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    problems.push({ name: 'encoding', expected: 'UTF-8' });
    return undefined;
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    problems.push(syntaxProblem(text, (error as Error).message));
    return undefined;
  }
}

function syntaxProblem(text: string, message: string): ConfigProblem {
  if (text.trim() === '') return { name: 'content', value: '', expected: 'JSON' };
  const at = positionOf(text, message);
  if (at === null) return { name: 'content', value: text.slice(0, 40), expected: `JSON (${message})` };
  const before = text.slice(0, at).split('\n');
  const name = `line ${before.length}, column ${(before.at(-1) as string).length + 1}`;
  if (at >= text.trimEnd().length) return { name, expected: 'more: the JSON is cut off here' };
  const value = (text.slice(at, at + 40).split('\n')[0] as string).trimEnd();
  return { name, value, expected: looksLikeYaml(text) ? 'JSON: YAML is not read' : `JSON (${briefly(message)})` };
}

/** What the message says besides the place, which is told already. */
function briefly(message: string): string {
  return message.replace(/,? (?:\.\.\.)?".*is not valid JSON$|( in JSON)? at position .*$/s, '');
}

/** Where the parser stopped; null if that cannot be found out. */
function positionOf(text: string, message: string): number | null {
  const told = /at position (\d+)/.exec(message)?.[1];
  if (told !== undefined) return Number(told);
  if (/end of JSON/.test(message)) return text.length;
  if (!unexpectedToken(message) || text.length > maxSearched) return null;
  // V8 keeps this place to itself. Every beginning of the text that reaches beyond it fails in the same way, and no
  // shorter one does.
  let good = 0;
  let bad = text.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (failsBefore(text.slice(0, middle))) bad = middle;
    else good = middle;
  }
  return good;
}

const unexpectedToken = (message: string): boolean => message.startsWith('Unexpected token');

function failsBefore(text: string): boolean {
  try {
    JSON.parse(text);
    return false;
  } catch (error) {
    return unexpectedToken((error as Error).message);
  }
}

/** A list item, a comment, a document marker or a key without quotes: the ways in which YAML begins and JSON does not. */
function looksLikeYaml(text: string): boolean {
  return /^\s*(?:- |#|---|%YAML|[\w.-]+\s*:(?:\s|$))/.test(text);
}
