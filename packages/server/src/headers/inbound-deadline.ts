/**
 * @module How long the caller of an inbound request will wait. There is no standard header, so the ones in use are read:
 * our own, Envoy's, and gRPC's. All of them are relative, which makes them immune to clocks that disagree.
 */
import type { HeaderPairs } from '@fairlead/core';

/** The header in which Fairlead tells how many milliseconds are left. */
export const timeoutHeader = 'x-request-timeout-ms';
/** Envoy's. */
export const envoyTimeoutHeader = 'x-envoy-expected-rq-timeout-ms';
/** gRPC's. */
export const grpcTimeoutHeader = 'grpc-timeout';

/**
 * The time that the caller leaves, in ms: the least of `x-request-timeout-ms`, `x-envoy-expected-rq-timeout-ms` and
 * `grpc-timeout`; `Infinity` if none of them is there. A malformed header counts as not there, since a typing error in
 * one service should not fail the requests of another. Can be 0 or negative: the time was gone when the request was sent.
 */
export function readTimeoutMs(headers: HeaderPairs): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    // Lengths first: they tell these three from nearly everything else without touching a character.
    switch (name.length) {
      case timeoutHeader.length:
        if (name === timeoutHeader) least = Math.min(least, parseMs(headers[i + 1] as string));
        break;
      case envoyTimeoutHeader.length:
        if (name === envoyTimeoutHeader) least = Math.min(least, parseMs(headers[i + 1] as string));
        break;
      case grpcTimeoutHeader.length:
        if (name === grpcTimeoutHeader) least = Math.min(least, parseGrpcTimeout(headers[i + 1] as string));
        break;
    }
  }
  return least;
}

/** Whole milliseconds, possibly negative; `Infinity` for anything else. */
export function parseMs(text: string): number {
  const { length } = text;
  const start = text.charCodeAt(0) === MINUS ? 1 : 0;
  if (length === start || length > start + 15) return Number.POSITIVE_INFINITY;
  let ms = 0;
  for (let i = start; i < length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return Number.POSITIVE_INFINITY;
    ms = ms * 10 + digit;
  }
  return start === 1 ? -ms : ms;
}

const MINUS = 0x2d;
const ZERO = 0x30;

/** Milliseconds in one unit of a gRPC timeout. */
const grpcUnits: Readonly<Record<string, number>> = Object.freeze({
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
});

/** At most eight digits and a unit (gRPC over HTTP2, "Timeout"), in ms; `Infinity` for anything else. */
export function parseGrpcTimeout(text: string): number {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  return match === null ? Number.POSITIVE_INFINITY : Number(match[1]) * (grpcUnits[match[2] as string] as number);
}
