/** @module How much a request matters, in the four classes of "Site Reliability Engineering", chapter 21. */
/** From what must not fail to what nobody misses; `critical` is what a request is that says nothing. */
export type Criticality = 'critical-plus' | 'critical' | 'sheddable-plus' | 'sheddable';

/** All of them, from the most critical to the least. */
export const criticalities: readonly Criticality[] = Object.freeze([
  'critical-plus',
  'critical',
  'sheddable-plus',
  'sheddable',
]);

/** The request header that says it. */
export const criticalityHeader = 'x-request-criticality';

/** The key under which W3C baggage says it, which hops that know nothing of it pass on. */
export const criticalityKey = 'criticality';

/** The place of what `text` says in {@link criticalities}; undefined if it is none. `CRITICAL_PLUS`, as in the book, is meant, too. */
export function criticalityRank(text: string): number | undefined {
  // As it should be written, it costs next to nothing.
  const exact = criticalities.indexOf(text as Criticality);
  if (exact >= 0) return exact;
  const at = criticalities.indexOf(text.trim().toLowerCase().replaceAll('_', '-') as Criticality);
  return at < 0 ? undefined : at;
}
