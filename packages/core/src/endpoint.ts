/** @module One place to send to. */
import { ConfigError } from './errors.js';

/** One place to send to: plain data, never changed. A changed endpoint is a new object with the same id. */
export interface Endpoint {
  /** Tells endpoints of one service apart, also across snapshots. */
  readonly id: string;
  /** Scheme, host and port: `http://10.0.0.5:8080`; or a Unix socket: `unix:/run/payments.sock`. */
  readonly origin: string;
  /** Share of the traffic relative to the others; 1 if nobody says otherwise. */
  readonly weight: number;
  /** Failure domain, where known. */
  readonly zone: string | null;
  /** Lower is preferred; 0 if nobody says otherwise. */
  readonly priority: number;
  /** Whatever else discovery knows. */
  readonly attributes: Readonly<Record<string, unknown>>;
}

const noAttributes: Readonly<Record<string, unknown>> = Object.freeze(Object.create(null));

/**
 * Makes an endpoint from an origin. A Unix socket is `unix:/run/payments.sock`, or `http+unix://%2Frun%2Fpayments.sock`,
 * which can also say a path with a comma in it.
 * @throws ConfigError if `origin` is not an http or https origin or the absolute path of a Unix socket, or the weight is not a number above 0.
 */
export function createEndpoint(origin: string, rest: Partial<Omit<Endpoint, 'origin'>> = {}): Endpoint {
  const normal = normalOrigin(origin);
  const weight = rest.weight ?? 1;
  if (!(weight > 0) || !Number.isFinite(weight)) {
    throw new ConfigError([{ name: `weight of ${normal}`, value: weight, expected: 'a number above 0' }]);
  }
  return Object.freeze({
    id: rest.id ?? normal,
    origin: normal,
    weight,
    zone: rest.zone ?? null,
    priority: rest.priority ?? 0,
    attributes: rest.attributes ?? noAttributes,
  });
}

/** Scheme, IPv4 address and port in the form that they already have in an origin; 80 and 443 do without, perhaps. */
const normalIpv4 =
  /^https?:\/\/(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!:)|(?=:))){4}:(?!80$|443$)(?:[1-5]\d{4}|[1-9]\d{0,3})$/;

function normalOrigin(origin: string): string {
  // What discovery tells by the ten thousand: a URL for each is most of the time and garbage of it.
  if (normalIpv4.test(origin)) return origin;
  const socket = unixSocket(origin);
  if (socket !== null) return `unix:${socket}`;
  const url = URL.canParse(origin) ? new URL(origin) : null;
  const plain = url !== null && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (url === null || !plain || url.pathname !== '/' || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new ConfigError([
      {
        name: 'endpoint',
        value: withoutCredentials(origin),
        expected: 'an origin such as http://10.0.0.5:8080, without path or credentials, or unix:/path',
      },
    ]);
  }
  return url.origin;
}

/** The path of a Unix socket; null if `origin` is not one. */
function unixSocket(origin: string): string | null {
  const [, plain, encoded] = /^(?:unix:(?:\/\/)?(\/[^/].*)|http\+unix:\/\/(%2f[^/?#]+)\/?)$/is.exec(origin) ?? [];
  const path = plain ?? decoded(encoded ?? '');
  // Nothing beyond a NUL would reach the system, and a slash at the end is no socket.
  return path === null || path === '' || path.includes('\0') || path.endsWith('/') ? null : path;
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** Errors are logged; what stands before the `@` of a URL must not be. */
function withoutCredentials(origin: string): string {
  return typeof origin === 'string' ? origin.replace(/\/\/[^/?#]*@/, '//***@') : origin;
}
