/**
 * @module W3C Trace Context, level 2 (https://www.w3.org/TR/trace-context-2/): reading and writing `traceparent` and
 * `tracestate`. What cannot be read is as if it were not there, so a bad header restarts the trace and never fails a request.
 */
import type { HeaderPairs } from '@fairlead/core';
import { joinedHeader, trimOws } from './header-list.js';

/** Where in which trace something happens. */
export interface TraceContext {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** Id of the span that is the parent of whatever is done next: 16 lower-case hex digits, not all zero. */
  readonly parentId: string;
  /** {@link sampledFlag} and {@link randomFlag}; the other bits are reserved and 0. */
  readonly flags: number;
  /** Value of `tracestate` as it came, or null. */
  readonly state: string | null;
}

/** The caller may have recorded this trace. */
export const sampledFlag = 1;
/** At least the right-most 7 bytes of the trace id are random. */
export const randomFlag = 2;

const knownFlags = sampledFlag | randomFlag;
const zeroTraceId = '0'.repeat(32);
const zeroParentId = '0'.repeat(16);

/** The last group tells the end of the value from the beginning of fields that only a later version knows. */
const shape = /^[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-|[ \t]*$)/;

/**
 * Reads a `traceparent`; null if it is invalid. Of a version above 00 the fields that version 00 has are read. Flags without
 * a meaning are dropped, as section 2.2.2.5 demands.
 * @param state becomes the context's {@link TraceContext.state}
 */
export function parseTraceparent(value: string, state: string | null = null): TraceContext | null {
  const match = shape.exec(value);
  if (match === null) return null;
  const traceId = match[2] as string;
  const parentId = match[3] as string;
  if (match[1] === 'ff' || (match[1] === '00' && match[5] === '-')) return null;
  if (traceId === zeroTraceId || parentId === zeroParentId) return null;
  return { traceId, parentId, flags: Number.parseInt(match[4] as string, 16) & knownFlags, state };
}

const flagTexts = ['-00', '-01', '-02', '-03'];

/** Writes a `traceparent` of version 00. */
export function formatTraceparent(traceId: string, parentId: string, flags: number): string {
  return `00-${traceId}-${parentId}${flagTexts[flags & knownFlags] as string}`;
}

const member = /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]$/;
const maxMembers = 32;

/**
 * Checks a `tracestate`, several of them joined with commas: gives it back unchanged but for whitespace around it, or null
 * if it is empty or anything in it is illegal. A key that comes twice is legal for whoever passes it on (section 3.5).
 */
export function parseTracestate(value: string): string | null {
  let members = 0;
  for (let start = 0; start <= value.length; ) {
    const comma = value.indexOf(',', start);
    const end = comma < 0 ? value.length : comma;
    const text = trimOws(value, start, end);
    if (text !== '' && (++members > maxMembers || !member.test(text))) return null;
    start = end + 1;
  }
  return members === 0 ? null : trimOws(value);
}

/**
 * The trace context that `headers` carry; null if there is none, or if it is invalid. More than one `traceparent` is
 * invalid; a `tracestate` counts only beside a valid `traceparent`, and an invalid one is left out alone.
 */
export function traceContextOf(headers: HeaderPairs): TraceContext | null {
  let parent: string | null = null;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== 'traceparent') continue;
    if (parent !== null) return null;
    parent = headers[i + 1] as string;
  }
  if (parent === null) return null;
  const state = joinedHeader(headers, 'tracestate');
  return parseTraceparent(parent, state === null ? null : parseTracestate(state));
}
