/** @module What a subject saw, as plain data that can be compared and read. */
import type { Door } from './doors.js';
import type { Exchange } from './origin.js';

/** Makes data of `value`: errors by class, name, message and causes; bytes and headers as text. */
export function plain(value: unknown, door: Door): unknown {
  const text = namesOf(door);
  const walk = (each: unknown): unknown => {
    if (typeof each === 'string') return text(each);
    if (typeof each === 'bigint' || typeof each === 'symbol' || typeof each === 'function') return `<${String(each)}>`;
    if (each === undefined) return '<undefined>';
    if (typeof each !== 'object' || each === null) return each;
    if (each instanceof Error) return plainError(each, text);
    if (each instanceof Uint8Array) return text(Buffer.from(each).toString('latin1'));
    if (each instanceof ArrayBuffer) return text(Buffer.from(each).toString('latin1'));
    if (each instanceof Headers) return [...each].map(([name, one]) => text(`${name}: ${one}`));
    if (Array.isArray(each)) return each.map(walk);
    return Object.fromEntries(Object.entries(each).map(([name, one]) => [name, walk(one)]));
  };
  return walk(value);
}

/** The two servers by names that are the same for both doors. */
function namesOf(door: Door): (text: string) => string {
  const names: [string, string][] = [
    [door.origin, 'http://A'],
    [door.other, 'http://B'],
    [`127.0.0.1:${door.a.port}`, 'A'],
    [`127.0.0.1:${door.b.port}`, 'B'],
    [`:${door.a.port}`, ':PORT'],
  ];
  return (text) => names.reduce((all, [from, to]) => all.replaceAll(from, to), text);
}

interface ErrorShape {
  readonly code?: unknown;
  readonly cause?: unknown;
}

function plainError(error: Error, text: (text: string) => string): object {
  const causes: string[] = [];
  for (let cause = (error as ErrorShape).cause; cause !== undefined; cause = (cause as ErrorShape | null)?.cause) {
    causes.push(cause instanceof Error ? plainCause(cause) : text(String(cause)));
    if (causes.length > 5) break;
  }
  return { error: error.constructor.name, name: error.name, message: text(error.message), cause: causes.join(' < ') };
}

function plainCause(cause: Error): string {
  const name = cause.constructor.name;
  const { code } = cause as ErrorShape;
  switch (code) {
    case undefined:
      return name;
    // Which of the two it is depends on what the system has already read.
    case 'ECONNRESET':
    case 'UND_ERR_SOCKET':
      return 'connection lost';
    default:
      // The parser's codes differ from one undici to the next.
      return String(code).startsWith('HPE_') ? name : `${name} ${code}`;
  }
}

/** What the server was sent, without the order and case of header names. */
export function plainExchange(exchange: Exchange, door: Door): object {
  const text = namesOf(door);
  const { server, method, path, whole } = exchange;
  const headers: Record<string, string> = {};
  for (const [rawName, value] of exchange.headers) {
    const name = rawName.toLowerCase();
    headers[name] = text(headers[name] === undefined ? value : `${headers[name]} | ${value}`);
  }
  let body = exchange.body.toString('latin1');
  const boundary = /^--(----formdata-\w+-[0-9a-f]+)/.exec(body)?.[1];
  if (boundary !== undefined) {
    const times = body.split(boundary).length - 1;
    body = body.replaceAll(boundary, 'BOUNDARY');
    headers['content-type'] = (headers['content-type'] ?? '').replace(boundary, 'BOUNDARY');
    const length = Number(headers['content-length']);
    if (length > 0) headers['content-length'] = String(length - times * boundary.length);
  }
  return { server, method, path: text(path), headers, body: body.length > 4096 ? `${body.length} bytes` : body, whole };
}

/** Where two observations differ. */
export interface Difference {
  readonly at: string;
  readonly theirs: unknown;
  readonly ours: unknown;
}

/** Every leaf that differs between what the built-in fetch and ours let see. What only one of them has is one difference. */
export function differences(theirs: unknown, ours: unknown, at = ''): Difference[] {
  if (!isTree(theirs) || !isTree(ours) || kindOf(theirs) !== kindOf(ours)) {
    return Object.is(theirs, ours) ? [] : [{ at, theirs: brief(theirs), ours: brief(ours) }];
  }
  const names = new Set([...Object.keys(theirs), ...Object.keys(ours)]);
  return [...names].flatMap((name) => differences(theirs[name], ours[name], at === '' ? name : `${at}.${name}`));
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function kindOf(tree: Record<string, unknown>): string {
  return ['error', 'status', 'method'].find((name) => name in tree) ?? String(Array.isArray(tree));
}

/** An error, a response or a request in one line. */
function brief(value: unknown): unknown {
  if (!isTree(value)) return value;
  if ('error' in value) return `${value.name}: ${value.message}${value.cause === '' ? '' : ` < ${value.cause}`}`;
  if ('status' in value) return `a response: ${value.status}`;
  if ('method' in value) return `a request: ${value.method} ${value.path}`;
  return JSON.stringify(value);
}
