/** @module What "everything on" means in every benchmark. */
import { type Client, type ClientOptions, createClient, type ServiceOptions } from 'fairlead';

/**
 * A client of one service, `payments`, with the default stack and every policy on that a caller can turn on: latency for
 * cost, a limit that is never reached, traces that begin here. Nobody listens to its
 * events unless `client` says so.
 */
export function everythingOn(
  from: ServiceOptions['from'],
  rest: Omit<ServiceOptions, 'from'> = {},
  client: Pick<ClientOptions, 'clock' | 'on'> = {},
): Client {
  return createClient({
    ...client,
    environment: false,
    newTraces: 'unsampled',
    services: {
      payments: { from, cost: 'latency', limit: { perSecond: 10_000_000, burst: 1_000_000 }, ...rest },
    },
  });
}
