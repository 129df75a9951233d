/** @module The wanted one of a slice's ports. */
import { isPortNumber } from '../target.js';
import type { PortObject } from './objects.js';

/** What the endpoints of a slice have in common. */
export interface Place {
  readonly scheme: 'http' | 'https';
  readonly port: number;
}

/**
 * Finds a port: by its name, by its number, or (null) the only one there is, or the one without a name. Null if there is
 * none that can be connected to by TCP: the API server stores 0, -1 and 70000 without complaint.
 */
export function findPort(ports: readonly PortObject[], wanted: string | number | null): Place | null {
  // A headless Service need not have ports; whoever gives a number knows what its pods listen on.
  if (ports.length === 0) return typeof wanted === 'number' ? { scheme: 'http', port: wanted } : null;
  const reachable = ports.filter(({ protocol, port }) => {
    return (protocol ?? 'TCP') === 'TCP' && (isPortNumber(port) || (port == null && typeof wanted === 'number'));
  });
  const found = choose(reachable, wanted);
  if (found === undefined) return null;
  const secure = secureProtocols.has(found.appProtocol ?? '') || /^https(-|$)/.test(found.name ?? '');
  return { scheme: secure ? 'https' : 'http', port: typeof wanted === 'number' ? wanted : (found.port as number) };
}

const secureProtocols: ReadonlySet<string> = new Set(['https', 'kubernetes.io/wss']);

function choose(ports: readonly PortObject[], wanted: string | number | null): PortObject | undefined {
  if (wanted === null) return ports.length === 1 ? ports[0] : ports.find(({ name }) => (name ?? '') === '');
  // An entry without a number stands for every port.
  return ports.find(({ name, port }) => (typeof wanted === 'number' ? (port ?? wanted) === wanted : name === wanted));
}
