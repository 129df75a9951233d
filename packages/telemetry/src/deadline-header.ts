/**
 * @module How the time that is left travels to the other side: as a duration, since the clocks of two machines never agree.
 * There is no standard; these are ours, Envoy's and gRPC's.
 */
import { type Check, checks } from '@fairlead/core';

/** A header that says how long the caller will go on waiting. */
export type DeadlineHeader = 'x-request-timeout-ms' | 'x-envoy-expected-rq-timeout-ms' | 'grpc-timeout';

/** Checks an option that is a list of {@link DeadlineHeader}. */
export const deadlineHeadersCheck: Check = checks.listOf(
  checks.oneOf<DeadlineHeader>('x-request-timeout-ms', 'x-envoy-expected-rq-timeout-ms', 'grpc-timeout'),
);

/** `grpc-timeout` has room for eight digits. */
const GRPC_MAX = 99_999_999;

/**
 * The value of `header` for `ms` milliseconds: whole ones, rounded down so that the other side never believes it has more
 * time than it has, but at least 1. `grpc-timeout` goes over to seconds beyond its eight digits (27 hours).
 */
export function formatDeadline(header: DeadlineHeader, ms: number): string {
  const whole = Math.max(1, Math.floor(ms));
  if (header !== 'grpc-timeout') return String(whole);
  return whole <= GRPC_MAX ? `${whole}m` : `${Math.min(GRPC_MAX, Math.floor(whole / 1000))}S`;
}
