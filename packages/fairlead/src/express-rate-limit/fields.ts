/** @module How clients are told where they stand, in each of the forms that express-rate-limit knows. */
import { hash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Options, RateLimitInfo } from './options.js';

/** What a form needs to know. */
export interface Standing {
  readonly info: RateLimitInfo;
  readonly options: Options;
  /** Until the window ends, in whole seconds. */
  readonly seconds: number;
}

/** How long until the window ends, in whole seconds; its whole length if the store does not say. */
export function secondsLeft({ resetTime }: RateLimitInfo, { windowMs, clock }: Options): number {
  return resetTime === undefined
    ? Math.ceil(windowMs / 1000)
    : Math.max(0, Math.ceil((resetTime.getTime() - clock.wall()) / 1000));
}

/** `X-RateLimit-*`, with the end of the window as seconds since 1970, and the date to measure it by. */
export function tellLegacy(response: ServerResponse, { info, options }: Standing): void {
  response.setHeader('X-RateLimit-Limit', String(info.limit));
  response.setHeader('X-RateLimit-Remaining', String(info.remaining));
  if (info.resetTime === undefined) return;
  response.setHeader('Date', new Date(options.clock.wall()).toUTCString());
  response.setHeader('X-RateLimit-Reset', String(Math.ceil(info.resetTime.getTime() / 1000)));
}

/** `RateLimit` in the form of the 6th or the 7th draft. */
export function tellDraft(response: ServerResponse, { info, options, seconds }: Standing): void {
  const { limit, remaining } = info;
  response.setHeader('RateLimit-Policy', `${limit};w=${Math.ceil(options.windowMs / 1000)}`);
  if (options.standardHeaders === 'draft-7') {
    response.setHeader('RateLimit', `limit=${limit}, remaining=${remaining}, reset=${seconds}`);
    return;
  }
  response.setHeader('RateLimit-Limit', String(limit));
  response.setHeader('RateLimit-Remaining', String(remaining));
  response.setHeader('RateLimit-Reset', String(seconds));
}

/** In the form of the 8th draft, which names the policy and has room for several. */
export function tellDraft8(response: ServerResponse, { info, options, seconds }: Standing, name: string): void {
  const partition = Buffer.from(hash('sha256', info.key, 'hex').slice(0, 12)).toString('base64');
  const policy = `q=${info.limit}; w=${Math.ceil(options.windowMs / 1000)}; pk=:${partition}:`;
  response.appendHeader('RateLimit', `"${name}"; r=${info.remaining}; t=${seconds}`);
  response.appendHeader('RateLimit-Policy', `"${name}"; ${policy}`);
}

/** `100-in-15min`: what a policy is called that has no name. */
export function policyName(limit: number, windowMs: number): string {
  const [seconds, minutes, hours, days] = [1_000, 60_000, 3_600_000, 86_400_000].map((unit) => windowMs / unit) as [
    number,
    number,
    number,
    number,
  ];
  if (seconds < 60) return `${limit}-in-${seconds}sec`;
  if (minutes < 60) return `${limit}-in-${minutes}min`;
  if (hours < 24) return `${limit}-in-${hours}hr${hours > 1 ? 's' : ''}`;
  return `${limit}-in-${days}day${days > 1 ? 's' : ''}`;
}
