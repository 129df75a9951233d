/**
 * @module Where a request came from, as proxies tell it: `X-Forwarded-For`, or `Forwarded` (RFC 7239). Both are read from
 * the right, because each proxy adds to the right end, and everything left of the first untrusted hop is hearsay.
 */
import type { HeaderPairs } from '@fairlead/core';
import { normalAddress } from './ip-address.js';

/** The header that the proxies in front write. */
export type ForwardingHeader = 'x-forwarded-for' | 'forwarded';

/**
 * Walks from the connection's peer towards the client for as long as each hop is trusted.
 * @param peer normal address of the other end of the connection
 * @returns the first address that is not trusted; the last that is, where the trail ends or what is there is no address
 */
export function originOf(
  peer: string,
  headers: HeaderPairs,
  header: ForwardingHeader,
  trusts: (address: string) => boolean,
): string {
  let origin = peer;
  if (!trusts(origin)) return origin;
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (headers[i] !== header) continue;
    const value = headers[i + 1] as string;
    for (let end = value.length; end >= 0; ) {
      const start = header === 'forwarded' ? elementStart(value, end) : value.lastIndexOf(',', end - 1) + 1;
      const element = value.slice(start, end).trim();
      end = start - 1;
      const node = header === 'forwarded' ? forOf(element) : element;
      const address = node === null ? null : addressOf(node);
      if (address === null) return origin;
      origin = address;
      if (!trusts(origin)) return origin;
    }
  }
  return origin;
}

/** Where the list member that ends at `end` begins: after the last comma that is not inside quotes. */
function elementStart(value: string, end: number): number {
  let quoted = false;
  for (let i = end - 1; i >= 0; i--) {
    const char = value[i];
    if (char === '"' && value[i - 1] !== '\\') quoted = !quoted;
    else if (char === ',' && !quoted) return i + 1;
  }
  return 0;
}

const parameter = /^\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)|"([^"\\]*)")\s*$/;

/** The node in `for=`; null if there is none, or more than one, or the element is malformed. */
function forOf(element: string): string | null {
  let node: string | null = null;
  for (const part of element.split(';')) {
    const match = parameter.exec(part);
    if (match === null) return null;
    if ((match[1] as string).toLowerCase() !== 'for') continue;
    if (node !== null) return null;
    node = match[2] ?? match[3] ?? '';
  }
  return node;
}

/** The normal address of `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`; else null. */
function addressOf(node: string): string | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|(\d{1,3}(?:\.\d{1,3}){3}))(?::\d{1,5})?$/.exec(node);
  return normalAddress(match?.[1] ?? match?.[2] ?? node);
}
