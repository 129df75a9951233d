/** @module The table of {@link ServiceSettings}. */

import { healthDefaults } from '@fairlead/balance';
import { type Check, checks, type Middleware } from '@fairlead/core';
import {
  attemptTimeoutDefaults,
  breakerDefaults,
  deadlineDefaults,
  type FallbackFunction,
  fallbackDefaults,
  hedgeDefaults,
  retryBudgetDefaults,
  retryDefaults,
} from '@fairlead/policies';
import { type DeadlineHeader, propagateDefaults } from '@fairlead/telemetry';
import { rate, source, staticReply } from './compound-values.js';
import type { ServiceSettings } from './service-settings.js';
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

const budget = retryBudgetDefaults;
const deadlineHeader = oneOf<DeadlineHeader>('x-request-timeout-ms', 'x-envoy-expected-rq-timeout-ms', 'grpc-timeout');

const ownLayers: ValueKind<readonly Middleware[]> = codeOnly('list of layers', checks.listOf(checks.fn('a layer')));
const makesReply = checks.fn('a function that makes a reply') as Check<FallbackFunction>;
const host = text('endpoint, service, or what to send as host', 'service', (value) => /^[\w.:[\]-]+$/.test(value));

/** The settings of a service. */
export const serviceTable: Table<ServiceSettings> = {
  from: setting(source(), undefined, 'Where the endpoints of the service come from.', { env: null }),
  discoveryCache: setting(
    orOff(
      text('the path of a folder', '/var/cache/fairlead', (value) => value !== ''),
      null,
    ),
    null,
    'A folder that keeps the last good endpoints for a process that starts while discovery is down.',
  ),
  discoveryIdleMs: setting(
    orOff(duration(1), false),
    600_000,
    'After how long without a call discovery stops until the next one.',
  ),
  timeoutMs: setting(
    orOff(duration(1), false),
    deadlineDefaults.ms,
    'How long a call may take, with all attempts, waits and the body.',
  ),
  attemptTimeoutMs: setting(
    orOff(duration(1), false),
    attemptTimeoutDefaults.ms,
    'How long one attempt may take to the head of its reply. Where nobody says it and there are retries, at most half of `timeoutMs`.',
  ),
  attempts: setting(integer(1, 10), retryDefaults.attempts, 'All tries, with the first; 1 turns retries off.'),
  'retry.baseMs': setting(duration(), retryDefaults.baseMs, 'Longest wait before the second attempt.'),
  'retry.maxMs': setting(duration(), retryDefaults.maxMs, 'Longest wait before any attempt.'),
  'retry.maxRetryAfterMs': setting(
    duration(),
    retryDefaults.maxRetryAfterMs,
    'Longest `Retry-After` that is waited for; if the service asks for more, its reply is handed back.',
  ),
  'retry.statuses': setting(
    list(integer(400, 599)),
    retryDefaults.statuses,
    'Statuses that an idempotent request is repeated after.',
  ),
  budget: setting(boolean(), true, 'Whether retries are limited by a budget that all calls share.'),
  'budget.ratio': setting(ratio(), budget.ratio, 'Retries per request.'),
  'budget.minPerSecond': setting(
    number(0),
    budget.minPerSecond,
    'Retries per second that are allowed whatever the traffic.',
  ),
  'budget.ttlMs': setting(duration(1_000, 60_000), budget.ttlMs, 'How long a request counts.'),
  hedge: setting(
    boolean(),
    false,
    'Whether to send idempotent requests once more that take longer than nearly all do.',
  ),
  'hedge.attempts': setting(
    integer(2, 5),
    hedgeDefaults.attempts,
    'All attempts that may be out at the same time, with the first.',
  ),
  'hedge.delayMs': setting(
    orOff(duration(1), null, 'auto'),
    null,
    'How long to wait before each further attempt; `auto` is as long as 95 % of answers take.',
  ),
  'hedge.ratio': setting(ratio(), hedgeDefaults.ratio, 'Further attempts per call at most.'),
  throttle: setting(
    boolean(),
    false,
    'Whether to send a service that refuses no more than it takes, as its answers show.',
  ),
  breaker: setting(boolean(), true, 'Whether to stop calling the service while it fails.'),
  'breaker.errorRatio': setting(ratio(), breakerDefaults.errorRatio, 'Share of failures at which the breaker opens.'),
  'breaker.minCalls': setting(
    integer(1),
    breakerDefaults.minCalls,
    'Calls that must be in the window before the breaker may open.',
  ),
  'breaker.windowMs': setting(duration(100), breakerDefaults.windowMs, 'How long a call counts.'),
  'breaker.openMs': setting(duration(1), breakerDefaults.openMs, 'How long the breaker stays open at first.'),
  'breaker.maxOpenMs': setting(
    duration(1),
    breakerDefaults.maxOpenMs,
    'How long the breaker stays open at most, after probes that failed.',
  ),
  'breaker.probeTimeoutMs': setting(
    duration(1),
    breakerDefaults.probeTimeoutMs,
    'When a probe that has not ended counts as failed.',
  ),
  'breaker.slowMs': setting(orOff(duration(1), null), null, 'A call that took longer is a slow one.'),
  'breaker.slowRatio': setting(ratio(), breakerDefaults.slowRatio, 'Share of slow calls at which the breaker opens.'),
  'breaker.judge': setting(
    codeOnly('function', checks.fn('a function of the outcome')),
    breakerDefaults.judge,
    'What an outcome says of the service.',
    { env: null },
  ),
  limit: setting(orOff(rate(), false), false, 'Most calls per second that this process makes.'),
  'fallback.to': setting(
    orInCode(orOff(staticReply(), null), makesReply),
    null,
    'What stands in for an answer that did not come.',
    { env: 'FALLBACK' },
  ),
  'fallback.fromStatus': setting(
    orOff(integer(400, 599), null),
    fallbackDefaults.fromStatus,
    'Replies with this status or a higher one are replaced, too.',
  ),
  'fallback.when': setting(
    codeOnly('function', checks.fn('a function of the error')),
    fallbackDefaults.when,
    'Which errors are replaced.',
    { env: null },
  ),
  health: setting(boolean(), true, 'Whether to take endpoints that fail out of the rotation.'),
  'health.consecutiveFailures': setting(
    integer(1),
    healthDefaults.consecutiveFailures,
    'Failures in a row after which an endpoint is ejected.',
  ),
  'health.baseEjectMs': setting(duration(1), healthDefaults.baseEjectMs, 'How long an endpoint is ejected at first.'),
  'health.maxEjectMs': setting(duration(1), healthDefaults.maxEjectMs, 'How long an endpoint is ejected at most.'),
  'health.maxEjectedRatio': setting(
    ratio(),
    healthDefaults.maxEjectedRatio,
    'Share of the endpoints that may be ejected at a time.',
  ),
  'health.forgiveMs': setting(
    duration(1),
    healthDefaults.forgiveMs,
    'Good health of this length takes one doubling of the time back.',
  ),
  'health.probeTimeoutMs': setting(
    duration(1),
    healthDefaults.probeTimeoutMs,
    'When a probe that has not ended lets another request try.',
  ),
  'health.restMs': setting(
    duration(),
    healthDefaults.restMs,
    'How long an endpoint rests that answers 429 without saying for how long.',
  ),
  picker: setting(oneOf('p2c', 'roundRobin'), 'p2c', 'How an endpoint is picked.'),
  cost: setting(oneOf('inFlight', 'latency'), 'inFlight', 'What the picker `p2c` takes for busy.'),
  'transport.connections': setting(integer(1), 128, 'Connections to one endpoint at most.'),
  'transport.connectTimeoutMs': setting(duration(1), 3_000, 'How long connecting may take.'),
  'transport.keepAliveMs': setting(
    duration(1),
    4_000,
    'How long an idle connection is kept, where the server does not say.',
  ),
  'transport.unusedMs': setting(
    duration(1),
    60_000,
    'When the connections to an endpoint that nobody calls are closed.',
  ),
  'transport.maxConnectionAgeMs': setting(
    orOff(duration(1), false),
    300_000,
    'How old a connection may become, ±10 % by chance; its last request announces its end.',
  ),
  'transport.warmConnections': setting(integer(0), 0, 'Connections that are opened to an endpoint when it joins.'),
  'transport.http2': setting(
    boolean(),
    false,
    'Whether to speak HTTP/2: over TLS if the endpoint agrees, without TLS always.',
  ),
  'transport.unreadBodyMs': setting(duration(1), 30_000, 'How long the body of a reply may wait for a reader.'),
  'transport.dropBodyMs': setting(
    duration(),
    1_000,
    'How long the rest of a body that nobody wants may take to be read away.',
  ),
  'transport.closeMs': setting(duration(), 5_000, 'How long closing the client waits for requests under way.'),
  'transport.maxHeaderBytes': setting(integer(1), 16_384, "Size of a reply's head at most, in bytes."),
  'transport.host': setting(
    host,
    'endpoint',
    'What to send as `host`: that of the `endpoint`, the name of the `service`, or a text.',
  ),
  'transport.tls': setting(
    codeOnly('object', checks.orNull(checks.object('options of tls.connect'))),
    null,
    'Options of `tls.connect` for https endpoints.',
    { env: null, secret: true },
  ),
  deadlineHeaders: setting(
    list(deadlineHeader),
    propagateDefaults.deadlineHeaders,
    'The headers that tell the service how much time is left.',
  ),
  attemptCount: setting(
    boolean(),
    propagateDefaults.attemptCount,
    'Whether to send which attempt this is, as `x-envoy-attempt-count`.',
  ),
  'layers.call': setting(ownLayers, [], 'Layers of your own, once per call.', { env: null }),
  'layers.attempt': setting(ownLayers, [], 'Layers of your own, once per attempt.', { env: null }),
};
