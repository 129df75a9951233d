/**
 * @module The variables that Kubernetes puts into every container for every Service of the namespace ("service links"). A
 * Service whose name begins with `fairlead` makes some that look like ours.
 */

const shapes: readonly (readonly [name: RegExp, value: RegExp])[] = [
  [/_SERVICE_HOST$/, /^[0-9a-f.:]+$/i],
  [/_SERVICE_PORT(_[A-Z0-9_]+)?$/, /^[0-9]+$/],
  [/_PORT$/, /^(tcp|udp|sctp):\/\//],
  [/_PORT_[0-9]+_(TCP|UDP|SCTP)$/, /^(tcp|udp|sctp):\/\//],
  [/_PORT_[0-9]+_(TCP|UDP|SCTP)_PROTO$/, /^(tcp|udp|sctp)$/],
  [/_PORT_[0-9]+_(TCP|UDP|SCTP)_PORT$/, /^[0-9]+$/],
  [/_PORT_[0-9]+_(TCP|UDP|SCTP)_ADDR$/, /^[0-9a-f.:]+$/i],
];

/**
 * Whether a variable is a service link by its name and by its value. Both have to fit: a service of ours may be called
 * `report-port`, but its source does not begin with `tcp://`.
 */
export function isServiceLink(name: string, value: string): boolean {
  return shapes.some(([names, values]) => names.test(name) && values.test(value));
}
