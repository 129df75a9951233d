/** @module What "everything on" means in every benchmark. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, type ClientOptions, createClient, type ServiceOptions } from 'fairlead';

/**
 * A client of one service, `payments`, with the default stack and every policy on that a caller can turn on: latency for
 * cost, a limit that is never reached, traces that begin here. Origins are discovered by a file that is watched. Nobody
 * listens to its events unless `client` says so.
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
      payments: {
        from: Array.isArray(from) ? listed(from) : from,
        cost: 'latency',
        limit: { perSecond: 10_000_000, burst: 1_000_000 },
        ...rest,
      },
    },
  });
}

/** The source of a file that names `origins`. It goes with the process. */
function listed(origins: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'payments.json');
  writeFileSync(path, JSON.stringify({ endpoints: origins }));
  return `file://${path}`;
}
