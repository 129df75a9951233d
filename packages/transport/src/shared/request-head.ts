/**
 * @module The head of a request as HTTP/2 sends it. It is checked here what undici checks for HTTP/1.1: node:http2 looks at
 * names only, and what it makes of a NUL in a value is another header.
 */
import { parts } from '../door/parts.js';
import type { Dispatcher } from '../undici.js';
import { Upload } from '../upload.js';

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const badPath = /[^\x21-\xff]/;
const badValue = /[^\t\x20-\x7e\x80-\xff]/;
const digits = /^\d+$/;

/** Where `:authority` is in every list of {@link requestHead}. */
const AUTHORITY = 5;

/**
 * Names and values in turn, pseudo-headers first, `content-length` last. A `host` header becomes `:authority`.
 * @param authority what to send where there is no `host`
 * @throws undici's errors, for what cannot be sent
 */
export function requestHead(request: Dispatcher.DispatchOptions, scheme: string, authority: string): string[] {
  const { method, path } = request;
  const headers = request.headers as readonly string[];
  if (!token.test(method)) throw invalid('invalid request method');
  if (badPath.test(path)) throw invalid('invalid request path');
  const head = [':method', method, ':scheme', scheme, ':authority', authority, ':path', path];
  let given: string | null = null;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (typeof value !== 'string' || badValue.test(value)) throw invalid(`invalid ${name} header`);
    // A pseudo-header would be another path, or another host.
    if (name === '' || name.charCodeAt(0) === 0x3a) throw invalid('invalid header key');
    if (name === 'host') head[AUTHORITY] = value;
    else if (name === 'content-length') given = value;
    else head.push(name, value);
  }
  const length = contentLength(request, given);
  if (length !== null) head.push('content-length', length);
  return head;
}

/** What to say of the length of the body; null for nothing. */
function contentLength({ method, body }: Dispatcher.DispatchOptions, given: string | null): string | null {
  if (given !== null && !digits.test(given)) throw invalid('invalid content-length header');
  if (body instanceof Upload) return given;
  const length = sizeOf(body as string | Uint8Array | null);
  if (given !== null && Number(given) !== length) throw new parts.errors.RequestContentLengthMismatchError();
  return length > 0 || expectsBody(method) ? String(length) : null;
}

function sizeOf(body: string | Uint8Array | null): number {
  return body === null ? 0 : typeof body === 'string' ? Buffer.byteLength(body) : body.length;
}

/** Whether no body at all would be worth a word. */
function expectsBody(method: string): boolean {
  switch (method) {
    case 'PATCH':
    case 'POST':
    case 'PROPFIND':
    case 'PROPPATCH':
    case 'PUT':
    case 'QUERY':
      return true;
    default:
      return false;
  }
}

/**
 * The same head with names that come more than once joined, which some may not. node:http2 knows which; that there are any
 * is rare enough to be asked only once it has refused.
 */
export function joinedHead(head: readonly string[]): string[] {
  const values: Map<string, string> = new Map();
  for (let i = 0; i < head.length; i += 2) {
    const name = (head[i] as string).toLowerCase();
    const before = values.get(name);
    const value = head[i + 1] as string;
    values.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return [...values].flat();
}

function invalid(message: string): Error {
  return new parts.errors.InvalidArgumentError(message);
}
