/** @module What is compared: one thing that a caller does, and what the server answers to it. */
import { builtIn, type Door, fairlead, type Servers } from './doors.js';
import type { Exchange } from './origin.js';
import { type Difference, differences, plain, plainExchange } from './plain.js';

/** Something to be done through both doors. */
export interface Subject extends Servers {
  readonly name: string;
  /** Does it, and returns whatever the caller saw. What it throws is seen too. */
  readonly run: (door: Door) => Promise<unknown>;
  /** What the server got is a matter of chance, since the request was broken off, and is not compared. */
  readonly brokenOff?: boolean;
  /** For what is known not to end: how long to wait for it, in ms. Default 10,000. */
  readonly patienceMs?: number;
}

/** Everything that can be seen of a response, its body as text. */
export async function seen(response: Response): Promise<object> {
  const head = headOf(response);
  const { bodyUsed, body } = response;
  return { ...head, bodyUsed, body: body === null ? null : typeof body, text: await caught(response.text()) };
}

/** Everything but the body. */
export function headOf(response: Response): object {
  const { status, statusText, ok, url, redirected, type, headers } = response;
  return { status, statusText, ok, url, redirected, type, headers };
}

/** What a promise comes to, be it an error. */
export async function caught(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return error;
  }
}

/** What a function comes to, be it an error. */
export function tried(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return error;
  }
}

/** A subject that sends one request to `/x` and looks at all there is to see. */
export function sending(name: string, init?: (door: Door) => unknown, more: Partial<Subject> = {}): Subject {
  return { name, ...more, run: async (door) => seen(await door.fetch(`${door.origin}/x`, init?.(door))) };
}

/** A subject about one answer: fetches `/x` and looks with `look`. */
export function answering(
  name: string,
  answer: Servers['answer'],
  look: (response: Response, door: Door) => unknown = seen,
  init?: (door: Door) => unknown,
): Subject {
  return { name, answer, run: async (door) => look(await door.fetch(`${door.origin}/x`, init?.(door)), door) };
}

/** Answers so, whatever is asked. */
export const reply =
  (status: number, headers: Record<string, string> | [string, string][] = {}, body: string | Buffer = 'body') =>
  (exchange: Exchange): void =>
    exchange.reply(status, headers, body);

/** Answers with whatever bytes. */
export const raw =
  (...parts: (string | Buffer)[]): Subject['answer'] =>
  (exchange) => {
    for (const part of parts) exchange.raw(part);
  };

const endless = 'does not end';

async function inTime(result: Promise<unknown>, patienceMs: number): Promise<unknown> {
  const { promise: over, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve(endless), patienceMs);
  try {
    return await Promise.race([result, over]);
  } finally {
    clearTimeout(timer);
  }
}

async function observe(subject: Subject, open: (servers: Servers) => Promise<Door>): Promise<unknown> {
  const { patienceMs = 10_000 } = subject;
  const door = await open(subject);
  try {
    const outcome = await caught(inTime(subject.run(door), patienceMs));
    // Both doors would be the same in that nothing comes of it, which says nothing of either.
    if (outcome === endless && subject.patienceMs === undefined) throw new Error(`${subject.name}: ${endless}`);
    if (outcome instanceof Error && outcome.message === 'never came true') throw outcome;
    const result = plain(outcome, door);
    if (subject.brokenOff === true) return { result };
    const sent = [...door.a.exchanges, ...door.b.exchanges].map((exchange) => plainExchange(exchange, door));
    return { result, sent };
  } finally {
    await door.close();
  }
}

/** Runs `subject` through both doors, one after the other. */
export async function compare(subject: Subject): Promise<Difference[]> {
  const theirs = await observe(subject, builtIn);
  const ours = await observe(subject, fairlead);
  return differences(theirs, ours);
}
