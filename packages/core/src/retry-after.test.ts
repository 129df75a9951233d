/**
 * Would catch: what `Date.parse` and `Number` make of headers that are neither: a wait of years for "-1", one of 16 s for
 * "0x10", and asctime dates read in local time.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { parseHttpDate, parseRetryAfter } from './retry-after.js';

const at = Date.UTC(1994, 10, 6, 8, 49, 37);
const zone = process.env.TZ;

afterEach(() => {
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
});

describe('parseRetryAfter', () => {
  it.each([
    ['120', 120_000],
    ['0', 0],
    ['007', 7_000],
    [' 120 ', 120_000],
    ['9999999999', 9_999_999_999_000],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 60_000],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 60_000],
    ['Sun Nov  6 08:49:37 1994', 60_000],
    ['Sun, 06 Nov 1994 08:00:00 GMT', 0],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ])('takes %j', (value, ms) => {
    expect(parseRetryAfter(value, at - 60_000)).toBe(ms);
  });

  it.each([
    undefined,
    '',
    ' ',
    '-1',
    '+1',
    '1.5',
    '1e3',
    '0x10',
    '1 2',
    '120s',
    '１２０',
    'Infinity',
    'NaN',
    'soon',
    '12345678901',
    '1994-11-06T08:49:37Z',
    '6 Nov 1994 08:49:37 GMT',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 1994 08:49:37 UTC',
    'Sun, 06 Nov 1994 08:49:37 +0000',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:60:00 GMT',
    'Sun, 06 Nov 1994 08:49:61 GMT',
    'Sun, 31 Feb 1994 08:49:37 GMT',
    'Sun, 00 Nov 1994 08:49:37 GMT',
    'Sun, 06 Now 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT, 120',
  ])('ignores %j', (value) => {
    expect(parseRetryAfter(value, at)).toBeNull();
  });

  it('never gives anything but null or a wait of whole, finite milliseconds', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.date({ noInvalidDate: true }).map(String), fc.double().map(String)),
        (text) => {
          const ms = parseRetryAfter(text, at);
          expect(ms === null || (Number.isInteger(ms) && ms >= 0)).toBe(true);
        },
      ),
    );
  });
});

describe('parseHttpDate', () => {
  it.each(['America/New_York', 'Asia/Kolkata', 'UTC'])('reads every form in GMT, also in %s', (name) => {
    process.env.TZ = name;
    for (const text of [
      'Sun, 06 Nov 1994 08:49:37 GMT',
      'Sunday, 06-Nov-94 08:49:37 GMT',
      'Sun Nov  6 08:49:37 1994',
    ]) {
      expect(parseHttpDate(text, at)).toBe(at);
    }
    expect(parseHttpDate('Mon Nov 16 08:49:37 2026', at)).toBe(Date.UTC(2026, 10, 16, 8, 49, 37));
  });

  it('knows leap days and leap seconds', () => {
    expect(parseHttpDate('Thu, 29 Feb 2024 00:00:00 GMT', at)).toBe(Date.UTC(2024, 1, 29));
    expect(parseHttpDate('Wed, 29 Feb 2023 00:00:00 GMT', at)).toBeNull();
    expect(parseHttpDate('Sat, 31 Dec 2016 23:59:60 GMT', at)).toBe(Date.UTC(2017, 0, 1));
    expect(parseHttpDate('Sun, 31 Feb 1994 08:49:60 GMT', at)).toBeNull();
  });

  it('takes a two-digit year for the nearest that is not more than 50 years ahead', () => {
    const now = Date.UTC(2026, 10, 23);
    const year = (text: string): number => {
      const parsed = parseHttpDate(`Sunday, 06-Nov-${text} 08:49:37 GMT`, now) as number;
      return Math.floor(parsed / 86_400_000 / 365.2425) + 1970;
    };
    expect([year('26'), year('27'), year('76'), year('77'), year('99')]).toEqual([2026, 2027, 2076, 1977, 1999]);
  });

  it('reads every date that a server can send', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_799 }), (second) => {
        const text = toHttpDate(second * 1_000);
        expect(parseHttpDate(text, at)).toBe(second * 1_000);
      }),
    );
  });
});

/** As a server writes it: the one form that must be sent (RFC 9110, 5.6.7). */
function toHttpDate(ms: number): string {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: 'UTC',
    weekday: 'short',
    day: '2-digit',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  });
  const part = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, value]));
  const month = part.month?.slice(0, 3);
  return `${part.weekday}, ${part.day} ${month} ${part.year} ${part.hour}:${part.minute}:${part.second} GMT`;
}
