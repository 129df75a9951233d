/**
 * @module W3C Baggage (https://www.w3.org/TR/baggage/): a header that travels along unread. It is passed on as it came, within
 * bounds, and looked into only when somebody asks for a key.
 */
import type { HeaderPairs } from '@fairlead/core';
import { joinedHeader, trimOws } from './header-list.js';

/** The most members that are passed on; section 3.3.2 demands at least as many. */
export const maxBaggageMembers = 64;
/** The most bytes that are passed on; section 3.3.2 demands at least as many. */
export const maxBaggageBytes = 8192;

/** What must not stand in the value of a header (RFC 9110, 5.5). */
const illegal = /[^\t\x20-\x7e\x80-\xff]/;

/**
 * `value` cut down to {@link maxBaggageMembers} and {@link maxBaggageBytes} by leaving out whole members from the end. Null
 * if nothing is left, or if it could not be sent as a header.
 */
export function boundBaggage(value: string): string | null {
  if (illegal.test(value)) return null;
  let kept = 0;
  for (let start = 0, members = 0; start <= value.length; ) {
    const comma = value.indexOf(',', start);
    const end = comma < 0 ? value.length : comma;
    if (end > maxBaggageBytes || members === maxBaggageMembers) break;
    if (trimOws(value, start, end) !== '') {
      members++;
      kept = end;
    }
    start = end + 1;
  }
  return kept === 0 ? null : trimOws(value, 0, kept);
}

/** The baggage that `headers` carry, within bounds; null if there is none. */
export function baggageOf(headers: HeaderPairs): string | null {
  const joined = joinedHeader(headers, 'baggage');
  return joined === null ? null : boundBaggage(joined);
}

/**
 * The value of `key` in a baggage header, percent-decoded and without properties; null if the key is not there. The first
 * counts if there are several. Escapes that are not UTF-8 become U+FFFD (section 3.3.1.3).
 */
export function baggageValue(header: string | null, key: string): string | null {
  if (header === null) return null;
  for (let start = 0; start < header.length; ) {
    const comma = header.indexOf(',', start);
    const end = comma < 0 ? header.length : comma;
    const equals = header.indexOf('=', start);
    if (equals >= 0 && equals < end && trimOws(header, start, equals) === key) {
      const semicolon = header.indexOf(';', equals);
      return decode(trimOws(header, equals + 1, semicolon < 0 || semicolon > end ? end : semicolon));
    }
    start = end + 1;
  }
  return null;
}

/** `header` with `value` for `key`, in place of every earlier value; `value` must need no encoding. */
export function withBaggageValue(header: string | null, key: string, value: string): string | null {
  const member = `${key}=${value}`;
  if (header === null) return member;
  const others = header.split(',').filter((each) => trimOws(each, 0, indexOrEnd(each, '=')) !== key);
  // First, so that it is not what has to go if there is too much.
  return boundBaggage([member, ...others].join(','));
}

function indexOrEnd(text: string, part: string): number {
  const at = text.indexOf(part);
  return at < 0 ? text.length : at;
}

function decode(value: string): string {
  if (!value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    // Bytes rather than characters from here on: an escape may be one byte of a character that is not complete.
    const bytes = new TextEncoder().encode(value);
    let length = 0;
    for (let i = 0; i < bytes.length; i++) {
      const escaped =
        bytes[i] === 0x25 ? /^[0-9a-f]{2}$/i.test(String.fromCharCode(...bytes.subarray(i + 1, i + 3))) : false;
      if (escaped) {
        bytes[length++] = Number.parseInt(String.fromCharCode(...bytes.subarray(i + 1, i + 3)), 16);
        i += 2;
      } else {
        bytes[length++] = bytes[i] as number;
      }
    }
    return new TextDecoder().decode(bytes.subarray(0, length));
  }
}
