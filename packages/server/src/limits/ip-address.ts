/** @module IP addresses as callers are told apart by them. */
import { isIPv4, isIPv6 } from 'node:net';

/**
 * One form for each address that means the same host: IPv4 also where it comes mapped into IPv6, in either spelling
 * (`::ffff:1.2.3.4`, `::ffff:102:304`); IPv6 as eight groups in hex. Null if `text` is not an IP address. An IPv4 address
 * anywhere else in an IPv6 one means nothing, since whoever owns the prefix chooses it.
 */
export function normalAddress(text: string): string | null {
  if (isIPv4(text)) return text;
  const zone = text.indexOf('%');
  const address = zone === -1 ? text : text.slice(0, zone);
  if (!isIPv6(address)) return null;
  const groups = groupsOf(address);
  const mapped = groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  if (!mapped) return groups.map((group) => group.toString(16)).join(':');
  const [high, low] = [groups[6] as number, groups[7] as number];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** The least that one subscriber is given, who could otherwise be 2^64 different callers. */
export const SUBSCRIBER_BITS: number = 64;

/**
 * The key of a {@link normalAddress}: an IPv4 address itself; of an IPv6 one the network of its first `bits`
 * (`2001:db8:0:1::/64`).
 */
export function addressKey(normal: string, bits: number = SUBSCRIBER_BITS): string {
  if (!normal.includes(':')) return normal;
  if (bits === SUBSCRIBER_BITS) return `${normal.split(':', 4).join(':')}::/64`;
  const groups = normal.split(':', Math.ceil(bits / 16));
  const odd = bits % 16;
  if (odd > 0) {
    const last = Number.parseInt(groups.pop() as string, 16) & (0xffff << (16 - odd));
    groups.push(last.toString(16));
  }
  return `${groups.join(':')}${groups.length < 8 ? '::' : ''}/${bits}`;
}

/** The eight groups of a valid IPv6 address without a zone. */
function groupsOf(address: string): number[] {
  const gap = address.indexOf('::');
  if (gap === -1) return parseGroups(address);
  const head = parseGroups(address.slice(0, gap));
  const tail = parseGroups(address.slice(gap + 2));
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

function parseGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a, b, c, d] = group.split('.').map(Number) as [number, number, number, number];
    return [(a << 8) | b, (c << 8) | d];
  });
}
