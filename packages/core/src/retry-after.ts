/**
 * @module `Retry-After` (RFC 9110, 10.2.3): seconds, or a date in one of the three forms of section 5.6.7. Own parser,
 * because `Date.parse` takes much that is neither and reads the asctime form in local time.
 */

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const imf = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/;
const rfc850 =
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d{2})-([A-Z][a-z]{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) GMT$/;
const asctime = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/;

/**
 * How long to wait, in ms; null if `value` is malformed, which must be treated like a header that is not there. A date in
 * the past is 0.
 * @param wallMs the present, as ms since 1970
 */
export function parseRetryAfter(value: string | undefined, wallMs: number): number | null {
  if (value === undefined) return null;
  const text = value.trim();
  if (/^\d{1,10}$/.test(text)) return Number(text) * 1000;
  const at = parseHttpDate(text, wallMs);
  return at === null ? null : Math.max(0, at - wallMs);
}

/** An HTTP date as ms since 1970, or null if it is not one. */
export function parseHttpDate(text: string, wallMs: number): number | null {
  let match = imf.exec(text);
  if (match !== null) return utc(match[3], match[2], match[1], match[4], match[5], match[6]);
  match = rfc850.exec(text);
  if (match !== null) return utc(fullYear(Number(match[3]), wallMs), match[2], match[1], match[4], match[5], match[6]);
  match = asctime.exec(text);
  if (match !== null) return utc(match[6], match[1], match[2], match[3], match[4], match[5]);
  return null;
}

/** A two-digit year that seems more than 50 years ahead is the last such year in the past. */
function fullYear(twoDigits: number, wallMs: number): number {
  const present = new Date(wallMs).getUTCFullYear();
  const year = present - (present % 100) + twoDigits;
  return year > present + 50 ? year - 100 : year;
}

type Part = string | number | undefined;

function utc(year: Part, month: Part, day: Part, hour: Part, minute: Part, second: Part): number | null {
  const m = months.indexOf(String(month));
  const [d, h, min, s] = [Number(day), Number(hour), Number(minute), Number(second)];
  if (m < 0 || d < 1 || h > 23 || min > 59 || s > 60) return null;
  // A day that the month does not have is no date. Asked without the time, since a leap second may end the day.
  if (new Date(Date.UTC(Number(year), m, d)).getUTCDate() !== d) return null;
  return Date.UTC(Number(year), m, d, h, min, s);
}
