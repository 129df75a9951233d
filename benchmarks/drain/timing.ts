/** @module How long things take in the cluster that the benchmark plays. */

/** A replica goes on listening for so long after SIGTERM, in ms. */
export const DELAY_MS = 1_500;
/** News of who is ready takes so long to reach those who send, in ms: less than {@link DELAY_MS}, as it has to be. */
export const PROPAGATION_MS = 700;
