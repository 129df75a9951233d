/** @module The table of {@link InboundSettings}. Its variables begin with `FAIRLEAD_INBOUND_`, but for those shared with clients. */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { type Check, type Criticality, check, checks, criticalities } from '@fairlead/core';
import {
  audibleSignals,
  drainDefaults,
  type Farewell,
  guardDefaults,
  rateLimitDefaults,
  shedDefaults,
} from '@fairlead/server';
import { clockSetting, listenerSetting, newTracesSetting, tracingSetting } from './client-table.js';
import type { InboundSettings, ProbeSetting } from './inbound-settings.js';
import { limits } from './limit-values.js';
import { policyMode } from './policy-table.js';
import { setting, type Table } from './setting.js';
import {
  boolean,
  codeOnly,
  duration,
  integer,
  list,
  number,
  oneOf,
  orInCode,
  orOff,
  ratio,
  text,
  type ValueKind,
} from './values.js';

const namedNetworks = ['loopback', 'linklocal', 'uniquelocal'];
const network = text(
  `a network such as 10.0.0.0/8 or fd00::/8, an address, or one of ${namedNetworks.join(', ')}; everybody cannot be trusted`,
  '10.0.0.0/8',
  (value) => {
    const [address = '', prefix = '32', more] = value.split('/');
    const bits = isIP(address) === 6 ? 128 : 32;
    return namedNetworks.includes(value) || (isIP(address) !== 0 && more === undefined && isPrefix(prefix, bits));
  },
);

function isPrefix(digits: string, bits: number): boolean {
  return /^[0-9]{1,3}$/.test(digits) && Number(digits) >= 1 && Number(digits) <= bits;
}

const isPath = (value: string): boolean => /^\/[^?#\s]*$/.test(value);
const probeObject: Check = check('{ path, checks: { name: function } }', (value) => {
  const { path, checks: each = {}, ...rest } = Object(value) as { path?: unknown; checks?: object };
  const known = typeof path === 'string' && isPath(path) && Object.keys(rest).length === 0;
  return known && Object.values(Object(each)).every((run) => typeof run === 'function');
});
const probe: ValueKind<ProbeSetting | null> = orInCode(
  orOff(text('a path such as /readyz', '/readyz', isPath), null),
  probeObject as Check<ProbeSetting>,
);
const tellsApart = checks.fn('a function of the call and its request') as Check<
  Extract<InboundSettings['key'], (...args: never[]) => unknown>
>;
const signal = text('the name of a signal that a process can listen to', 'SIGTERM', (value) =>
  audibleSignals.includes(value),
) as ValueKind<NodeJS.Signals>;
const headerName = text('the name of a header in lower case', 'x-api-key', (value) =>
  /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(value),
);

/** The settings of a guard. */
export const inboundTable: Table<InboundSettings> = {
  name: setting(
    text('a name without spaces', 'payments', (value) => /^\S+$/.test(value)),
    'inbound',
    'Name of this service, in events and traces.',
    { env: 'NAME' },
  ),
  limit: setting(
    orOff(limits(), false),
    false,
    'Requests per second of each caller; several limits are passed all or none.',
  ),
  key: setting(
    orInCode(oneOf('address', 'apiKey', 'identity'), tellsApart),
    'address',
    'What tells callers apart; `identity` is that of their certificate.',
  ),
  apiKeyHeader: setting(headerName, 'x-api-key', 'The header that holds the API key.'),
  apiKeys: setting(
    orOff(list(text('an API key', 'k-5f2a', (key) => key !== '')), null),
    null,
    'The API keys that were given out; callers that show none of them are told apart by address.',
    { secret: true },
  ),
  trustedProxies: setting(list(network), [], "Proxies whose word on the caller's address is taken."),
  forwardedHeader: setting(
    oneOf('x-forwarded-for', 'forwarded'),
    'x-forwarded-for',
    'Which header those proxies write.',
  ),
  ipv6Bits: setting(integer(32, 128), 64, 'How much of an IPv6 address tells callers apart.'),
  draftHeaders: setting(
    boolean(),
    rateLimitDefaults.draftHeaders,
    'Whether limits are told in `RateLimit` and `RateLimit-Policy`.',
  ),
  legacyHeaders: setting(
    boolean(),
    rateLimitDefaults.legacyHeaders,
    'Whether limits are told in `X-RateLimit-Limit`, `-Remaining` and `-Reset`, too.',
  ),
  maxKeys: setting(
    integer(1, 10_000_000),
    10_000,
    'Callers that are told apart at a time; all others share one limit.',
  ),
  maxTimeoutMs: setting(orOff(duration(1), null), null, 'Longest deadline of a request, whatever its caller asks for.'),
  criticality: setting(
    oneOf<Criticality>(...criticalities),
    guardDefaults.criticality,
    'How critical a request is that says nothing of itself.',
  ),
  trusts: setting(
    codeOnly('function', checks.fn('a function of the request')) as ValueKind<(request: IncomingMessage) => boolean>,
    guardDefaults.trusts,
    'Whether a caller may say that a request is more critical than that.',
    { env: null },
  ),
  shed: setting(
    boolean(),
    true,
    'Whether to refuse at once what would only wait, while more is asked than can be done.',
  ),
  'shed.mode': setting(
    policyMode(),
    'on',
    'Whether it acts; in `shadow` it lets everything in and counts what it would have refused.',
  ),
  'shed.maxWaitMs': setting(duration(1, 60_000), shedDefaults.maxWaitMs, 'How long a request may wait in a burst.'),
  'shed.targetMs': setting(duration(1, 60_000), shedDefaults.targetMs, 'How long it may wait in an overload.'),
  'shed.maxWaiting': setting(integer(1, 1_000_000), shedDefaults.maxWaiting, 'How many may wait.'),
  'shed.minLimit': setting(
    integer(1),
    shedDefaults.minLimit,
    'The least that a limit on handlers at work is lowered to.',
  ),
  'shed.maxLimit': setting(integer(1), shedDefaults.maxLimit, 'The most that it is raised to.'),
  'shed.initialLimit': setting(integer(1), shedDefaults.initialLimit, 'What it begins with.'),
  'shed.tolerance': setting(
    number(1, 100),
    shedDefaults.tolerance,
    'How many times as long as when not crowded handlers may take before there are fewer at a time.',
  ),
  'shed.heapRatio': setting(
    ratio(),
    shedDefaults.heapRatio,
    "From which share of the heap's limit on the least critical are refused.",
  ),
  'shed.tenant': setting(
    codeOnly('function', checks.orNull(checks.fn('a function from a request to a string'))),
    null,
    'Tells tenants apart, none of whom gets more than a share in an overload.',
    { env: null },
  ),
  tells: setting(
    boolean(),
    guardDefaults.tells,
    'Whether callers that ask are told how loaded the server is, and where the time went.',
  ),
  drain: setting(boolean(), true, 'Whether SIGTERM makes the server finish what it has begun, then stop.'),
  'drain.delayMs': setting(
    orOff(duration(), null, 'auto'),
    null,
    'How long to go on listening after SIGTERM; `auto` is 5s inside Kubernetes and 0s elsewhere.',
  ),
  'drain.timeoutMs': setting(duration(), 25_000, 'When to cut what is not finished, counted from the signal.'),
  'drain.signals': setting(list(signal), drainDefaults.signals, 'Signals that make the server stop.'),
  'drain.farewell': setting(
    codeOnly('function', checks.fn()) as ValueKind<Farewell>,
    drainDefaults.farewell,
    'Is told of each upgraded connection that is to end.',
    { env: null },
  ),
  'drain.cleanup': setting(
    codeOnly('function', checks.fn()) as ValueKind<() => unknown>,
    () => {},
    'Run when every server is closed, such as `() => client.close()`.',
    { env: null },
  ),
  'drain.cleanupTimeoutMs': setting(duration(), drainDefaults.cleanupTimeoutMs, 'How long `cleanup` is waited for.'),
  health: setting(boolean(), false, 'Whether to answer the probes of Kubernetes.'),
  'health.readiness': setting(probe, '/readyz', 'Path of the readiness probe: 503 while the server drains.'),
  'health.liveness': setting(probe, '/livez', 'Path of the liveness probe.'),
  'health.startup': setting(probe, null, 'Path of the startup probe.'),
  tracing: tracingSetting,
  newTraces: newTracesSetting,
  layers: setting(
    codeOnly('list of layers', checks.listOf(checks.fn('a layer'))),
    [],
    'Layers of your own, in front of the handler.',
    { env: null },
  ),
  onError: setting(
    codeOnly('function', checks.orNull(checks.fn('a function of error and request'))),
    null,
    'Gets errors that the client sees as a bare 500.',
    { env: null },
  ),
  on: listenerSetting,
  clock: clockSetting,
};
