/** @module Whether an inbound request is a repetition: what hops further down need to know so that they do not repeat, too. */
import { attemptHeader, type HeaderPairs } from '@fairlead/core';

/** gRPC's (gRFC A6): how many attempts there were before. */
export const grpcAttemptsHeader = 'grpc-previous-rpc-attempts';

/**
 * Which attempt of its caller a request is, from 1, as `x-envoy-attempt-count` or `grpc-previous-rpc-attempts` say. The
 * higher counts if both are there; what is malformed counts as not there.
 */
export function readAttempt(headers: HeaderPairs): number {
  let attempt = 1;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    // Lengths first, as for deadlines.
    if (name.length === attemptHeader.length) {
      if (name === attemptHeader) attempt = Math.max(attempt, parseCount(headers[i + 1] as string));
    } else if (name.length === grpcAttemptsHeader.length && name === grpcAttemptsHeader) {
      attempt = Math.max(attempt, parseCount(headers[i + 1] as string) + 1);
    }
  }
  return attempt;
}

/** Up to three digits; 0 for anything else. */
export function parseCount(text: string): number {
  return /^\d{1,3}$/.test(text) ? Number(text) : 0;
}
