/**
 * @module What a caller that speaks undici's own interface wants of an exchange, beside the reply: its connection, should it
 * be upgraded, interim answers, and the raw bytes of heads. It hangs on the call, is told in the synchronous turn in which
 * things happen, and costs every other caller one look at the call's attributes.
 */
import type { Duplex } from 'node:stream';
import type { CallAttributes, ReplyHeaders } from '@fairlead/core';

/** What undici is asked for, beside what every call has. */
export interface TapWishes {
  /** The protocol to change to; null to stay with HTTP. */
  readonly upgrade: string | null;
  /** undici's own timeouts, in ms and accurate to about a second; 0 for none. */
  readonly headersTimeout: number;
  readonly bodyTimeout: number;
}

/** Of a caller that asks for nothing else. */
export const noWishes: TapWishes = Object.freeze({ upgrade: null, headersTimeout: 0, bodyTimeout: 0 });

/** Told about every attempt of its call. */
export interface ExchangeTap {
  readonly wishes: TapWishes;
  /** A 1xx answer other than 101. */
  onInformation(status: number, headers: ReplyHeaders, statusText: string, rawHeaders: unknown): void;
  /** The connection is the caller's from now on. The reply that follows is over when the socket closes. */
  onUpgrade(status: number, headers: ReplyHeaders, socket: Duplex, rawHeaders: unknown): void;
  onBodySent(chunk: unknown): void;
  onRequestSent(): void;
  onResponseStarted(): void;
}

const key: unique symbol = Symbol('fairlead.exchangeTap') as never;

/** Attributes for the call of `tap`. */
export function tapped(tap: ExchangeTap): CallAttributes {
  return { [key]: tap };
}

/** The tap of a call, or null. */
export function tapOf(attributes: CallAttributes): ExchangeTap | null {
  return (attributes[key] as ExchangeTap | undefined) ?? null;
}
