/** @module What is known of the load of one endpoint from what it says. */

/** What one endpoint has reported. */
export class ReportedLoad {
  /** Monotonic ms from which on it may be asked again. */
  askAt: number = Number.NEGATIVE_INFINITY;
  /** Monotonic ms of its first report in a row, and of its latest. */
  since: number = Number.NEGATIVE_INFINITY;
  at: number = Number.NEGATIVE_INFINITY;
  utilization = 0;
  /** The share of its answers that were errors, by what it says or by what this process has seen. */
  errorRatio = 0;
  /** By how much its weight is multiplied. */
  factor = 1;
  /** Whether there was a report since weights were worked out. */
  news = false;
  /** Seen by this process; halved with each report. */
  answers = 0;
  errors = 0;
}
