/**
 * @module How much a request matters, in the four classes of "Site Reliability Engineering", chapter 21. The class travels
 * in a header of its own, and as `criticality` in W3C baggage, which hops that know nothing of it pass on.
 */

/** From what must not fail to what nobody misses; `critical` is what a request is that says nothing. */
export type Criticality = 'critical-plus' | 'critical' | 'sheddable-plus' | 'sheddable';

/** The header that says it. */
export const criticalityHeader = 'x-request-criticality';
/** Which attempt a request is, in Envoy's words; the first is 1. */
const attemptHeader = 'x-envoy-attempt-count';

/** All of them, from the most critical to the least. */
export const criticalities: readonly Criticality[] = Object.freeze([
  'critical-plus',
  'critical',
  'sheddable-plus',
  'sheddable',
]);

/** The place of a class in {@link criticalities}, and so its rank; undefined for anything else. */
export function rankOf(text: string | undefined): number | undefined {
  // `CRITICAL_PLUS`, as the book writes it, is meant, too.
  const at =
    text === undefined ? -1 : criticalities.indexOf(text.trim().toLowerCase().replaceAll('_', '-') as Criticality);
  return at < 0 ? undefined : at;
}

/** The member `criticality` of a baggage header, without properties. */
const inBaggage = /(?:^|,)[ \t]*criticality[ \t]*=[ \t]*([A-Za-z_-]{1,16})[ \t]*(?=[,;]|$)/;

/** What a request says of itself. One object is used for all of them, so read it at once. */
export interface Claim {
  /** 0 for the most critical class to 3; undefined if it says nothing. */
  rank: number | undefined;
  /** Whether it was sent before. */
  retry: boolean;
}

const claim: Claim = { rank: undefined, retry: false };

/** What `raw` (as in `request.rawHeaders`) says. The header counts before the baggage. */
export function readClaim(raw: readonly string[]): Claim {
  claim.rank = undefined;
  claim.retry = false;
  let baggage: string | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    // Both of the headers have the same length; hardly any other has.
    if (name.length === criticalityHeader.length) {
      const lower = name.toLowerCase();
      if (lower === criticalityHeader) claim.rank ??= rankOf(raw[i + 1]);
      else if (lower === attemptHeader) claim.retry = Number(raw[i + 1]) > 1;
    } else if (name.length === 7 && name.toLowerCase() === 'baggage') baggage ??= raw[i + 1];
  }
  if (claim.rank === undefined && baggage !== undefined) claim.rank = rankOf(inBaggage.exec(baggage)?.[1]);
  return claim;
}
