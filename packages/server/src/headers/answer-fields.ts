/**
 * @module Fields that layers add to an answer. They go out with its head: what is set one by one before that is checked and
 * filed one by one, and Node then does the same with all that the handler gives to `writeHead`, which costs twice as
 * much as one list.
 */
import type { ServerResponse } from 'node:http';

/**
 * Adds `fields`, names and values in turn, to the arguments of a `writeHead` of node:http, but for those that the handler
 * has set or given itself: it has the last word.
 */
export function addFields(response: ServerResponse, fields: readonly string[], args: unknown[]): void {
  const place = typeof args[1] === 'string' || (args[2] ?? null) !== null ? 2 : 1;
  const given = args[place];
  if (response.getHeaderNames().length > 0) {
    // Node files what is given behind these, so that it wins.
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] as string;
      if (!response.hasHeader(name)) response.setHeader(name, fields[i + 1] as string);
    }
    return;
  }
  const list: unknown[] = [];
  if (typeof given === 'object' && given !== null) append(list, given);
  const length = list.length;
  for (let i = 0; i < fields.length; i += 2) {
    if (!names(list, length, fields[i] as string)) list.push(fields[i], fields[i + 1]);
  }
  args[place] = list;
}

/** Adds what `writeHead` takes: an object, names and values in turn, or pairs of them. */
function append(list: unknown[], given: object): void {
  if (!Array.isArray(given)) {
    for (const name of Object.keys(given)) list.push(name, (given as Record<string, unknown>)[name]);
    return;
  }
  const pairs = Array.isArray(given[0]);
  for (const each of given) {
    if (pairs) list.push((each as unknown[])[0], (each as unknown[])[1]);
    else list.push(each);
  }
}

/** Whether one of the names in the first `length` of `list` is `name`. */
function names(list: readonly unknown[], length: number, name: string): boolean {
  for (let i = 0; i < length; i += 2) {
    const each = list[i];
    // Lengths first: they tell these from nearly everything else without touching a character.
    if (typeof each === 'string' && each.length === name.length && each.toLowerCase() === name.toLowerCase())
      return true;
  }
  return false;
}
