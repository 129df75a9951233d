/** @module The table of {@link ServiceSettings}. */

import { clusterDefaults, healthDefaults, loadReportDefaults } from '@fairlead/balance';
import { checks, type Middleware } from '@fairlead/core';
import { attemptTimeoutDefaults, deadlineDefaults } from '@fairlead/policies';
import { type DeadlineHeader, propagateDefaults } from '@fairlead/telemetry';
import { source } from './compound-values.js';
import { injectFaultTable } from './inject-fault-table.js';
import { policyMode, policyTable } from './policy-table.js';
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
  orOff,
  ratio,
  text,
  type ValueKind,
} from './values.js';

const deadlineHeader = oneOf<DeadlineHeader>('x-request-timeout-ms', 'x-envoy-expected-rq-timeout-ms', 'grpc-timeout');

const ownLayers: ValueKind<readonly Middleware[]> = codeOnly('list of layers', checks.listOf(checks.fn('a layer')));
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
    clusterDefaults.idleMs,
    'After how long without a call discovery stops until the next one.',
  ),
  zone: setting(
    orOff(
      text('the name of a zone', 'eu-west-1a', (value) => value !== ''),
      null,
    ),
    clusterDefaults.zone,
    'The failure domain of this process, whose endpoints are preferred.',
  ),
  node: setting(
    orOff(
      text('the name of a node', 'worker-7', (value) => value !== ''),
      null,
    ),
    clusterDefaults.node,
    'The node that this process runs on; endpoints are preferred that hints mean for it.',
  ),
  maxWaiting: setting(
    integer(0),
    clusterDefaults.maxWaiting,
    'Calls that may wait for the first answer of discovery; one more is refused.',
  ),
  readyTimeoutMs: setting(
    orOff(duration(1), false),
    clusterDefaults.readyTimeoutMs,
    'If discovery has not answered for so long, calls are refused at once until it does.',
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
  timeoutMode: setting(
    policyMode(),
    'on',
    'Whether `timeoutMs` acts; in `shadow` calls are counted that it would have ended.',
  ),
  attemptTimeoutMode: setting(
    policyMode(),
    'on',
    'Whether `attemptTimeoutMs` acts; in `shadow` attempts are counted that it would have ended.',
  ),
  skipHopeless: setting(
    boolean(),
    attemptTimeoutDefaults.skipHopeless,
    'Whether no attempt is made for which a call has less time left than half of the answers take.',
  ),
  ...policyTable,
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
  loadReports: setting(
    boolean(),
    false,
    'Whether to ask endpoints how loaded they are, and to give those more that are loaded less.',
  ),
  'loadReports.periodMs': setting(
    duration(100),
    loadReportDefaults.periodMs,
    'How often an endpoint is asked, with a request that goes there anyway.',
  ),
  'loadReports.blackoutMs': setting(
    duration(),
    loadReportDefaults.blackoutMs,
    'How long after the first report of an endpoint its reports have no effect.',
  ),
  'loadReports.expireMs': setting(
    duration(1),
    loadReportDefaults.expireMs,
    'How long a report counts without another one.',
  ),
  'loadReports.errorPenalty': setting(
    number(0),
    loadReportDefaults.errorPenalty,
    'The load that an endpoint is taken to have on top if all of its answers are errors.',
  ),
  'loadReports.maxFactor': setting(
    number(1),
    loadReportDefaults.maxFactor,
    'By how much reports multiply or divide a weight at most.',
  ),
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
  ...injectFaultTable,
  'layers.call': setting(ownLayers, [], 'Layers of your own, once per call.', { env: null }),
  'layers.attempt': setting(ownLayers, [], 'Layers of your own, once per attempt.', { env: null }),
};
