/** @module The outside of a call: time, timers, chance, and one sink for events. */
import type { Clock } from './clock.js';
import type { FairleadEvent } from './events.js';

/** What a call brings along from the outside. */
export interface Runtime {
  readonly clock: Clock;
  /**
   * Gets every event, or is undefined while nobody listens. Always use `runtime.on?.({ … })`: the event is then not even
   * built unless somebody wants it. A listener must not throw.
   */
  on?: ((event: FairleadEvent) => void) | undefined;
}
