/** @module What stands behind a guard, as the guard sees it. */

/** Runs what stands behind the guard; called with an error, it skips that and reports the error. */
export type Next = (error?: unknown) => unknown;
