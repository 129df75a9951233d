/** @module The rows of {@link ServiceSettings} for its policies. */
import { type Check, checks } from '@fairlead/core';
import {
  breakerDefaults,
  type FallbackFunction,
  fallbackDefaults,
  hedgeDefaults,
  mirrorDefaults,
  type PolicyMode,
  paceDefaults,
  retryBudgetDefaults,
  retryDefaults,
  staleDefaults,
  throttleDefaults,
} from '@fairlead/policies';
import { rate, staticReply } from './compound-values.js';
import type { ServiceSettings } from './service-settings.js';
import { setting, type Table } from './setting.js';
import {
  boolean,
  codeOnly,
  duration,
  integer,
  list,
  number,
  numberAbove,
  oneOf,
  orInCode,
  orOff,
  ratio,
  shareFrom,
  text,
  type ValueKind,
} from './values.js';

const budget = retryBudgetDefaults;
const makesReply = checks.fn('a function that makes a reply') as Check<FallbackFunction>;
const serviceName = text('the name of another service', 'search-next', (value) => value !== '');
/** The kind of a `mode`. */
export const policyMode = (): ValueKind<PolicyMode> => oneOf<PolicyMode>('on', 'shadow', 'off');

type PolicyName =
  | 'attempts'
  | 'retry'
  | 'budget'
  | 'hedge'
  | 'throttle'
  | 'breaker'
  | 'limit'
  | 'limitMode'
  | 'pace'
  | 'fallback'
  | 'mirror';

/** The settings of policies. */
export const policyTable: Table<Pick<ServiceSettings, PolicyName>> = {
  attempts: setting(integer(1, 10), retryDefaults.attempts, 'All tries, with the first; 1 turns retries off.'),
  'retry.mode': setting(
    policyMode(),
    'on',
    'Whether it acts; in `shadow` it repeats nothing and counts what it would have repeated.',
  ),
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
  'retry.wholeReplyBytes': setting(
    integer(0, 65_536),
    retryDefaults.wholeReplyBytes,
    'Bodies of replies to idempotent calls up to so many bytes are awaited whole, and repeated if they break; 0 for none.',
  ),
  budget: setting(boolean(), true, 'Whether retries are limited by a budget that all calls share.'),
  'budget.ratio': setting(ratio(), budget.ratio, 'Retries per request.'),
  'budget.minPerSecond': setting(
    number(0),
    budget.minPerSecond,
    'Retries per second that are allowed whatever the traffic.',
  ),
  'budget.minFailingPerSecond': setting(
    number(0),
    budget.minFailingPerSecond,
    'Of these, how many per second may fail, too.',
  ),
  'budget.processes': setting(integer(1), budget.processes, 'Processes that share `minFailingPerSecond`.'),
  'budget.ttlMs': setting(duration(1_000, 60_000), budget.ttlMs, 'How long a request counts.'),
  hedge: setting(
    boolean(),
    false,
    'Whether to send idempotent requests once more that take longer than nearly all do.',
  ),
  'hedge.mode': setting(
    policyMode(),
    'on',
    'Whether it acts; in `shadow` it sends nothing and counts the calls that it would have hedged.',
  ),
  'hedge.attempts': setting(
    integer(2, 5),
    hedgeDefaults.attempts,
    'All attempts that may be out at the same time, with the first.',
  ),
  'hedge.delayMs': setting(
    orOff(duration(1), null, 'auto'),
    null,
    'How long to wait before each further attempt; `auto` is as long as nearly all answers take.',
  ),
  'hedge.quantile': setting(
    shareFrom(0.5),
    hedgeDefaults.quantile,
    'The share of answers that `auto` does not wait longer for, from 0.5 to below 1.',
  ),
  'hedge.minDelayMs': setting(duration(), hedgeDefaults.minDelayMs, 'What `auto` waits at least.'),
  'hedge.minCalls': setting(
    integer(20),
    hedgeDefaults.minCalls,
    'Answers to have seen before `auto` knows how long to wait; nothing is hedged until then.',
  ),
  'hedge.ratio': setting(ratio(), hedgeDefaults.ratio, 'Further attempts per call at most.'),
  'hedge.minWinRatio': setting(
    ratio(),
    hedgeDefaults.minWinRatio,
    'Share of further attempts that must win, or would, for hedging to go on; more of them under load.',
  ),
  'hedge.statuses': setting(
    list(integer(400, 599)),
    hedgeDefaults.statuses,
    'Statuses that do not win while another attempt is out.',
  ),
  throttle: setting(
    boolean(),
    false,
    'Whether to send a service that refuses no more than it takes, as its answers show.',
  ),
  'throttle.mode': setting(
    policyMode(),
    'on',
    'Whether it acts; in `shadow` it refuses nothing and counts what it would have refused.',
  ),
  'throttle.k': setting(numberAbove(1), throttleDefaults.k, 'Calls let through for each that is accepted.'),
  'throttle.windowMs': setting(duration(1_000, 120_000), throttleDefaults.windowMs, 'How long a call counts.'),
  'throttle.maxRatio': setting(shareFrom(0), throttleDefaults.maxRatio, 'The most that is refused, below 1.'),
  'throttle.minCalls': setting(
    integer(1),
    throttleDefaults.minCalls,
    'Calls that must be in the window before anything is refused.',
  ),
  breaker: setting(boolean(), true, 'Whether to stop calling the service while it fails.'),
  'breaker.mode': setting(
    policyMode(),
    'on',
    'Whether it acts; in `shadow` it refuses nothing and counts what it would have refused.',
  ),
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
  'breaker.jitterRatio': setting(
    ratio(),
    breakerDefaults.jitterRatio,
    'Each of these times is shortened by up to this share, at random.',
  ),
  'breaker.probes': setting(
    integer(1, 100),
    breakerDefaults.probes,
    'Probes that must succeed before the breaker closes.',
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
  'breaker.engine': setting(
    oneOf('own', 'opossum'),
    breakerDefaults.engine,
    'What counts; they decide alike, and failures cost `opossum` more.',
  ),
  limit: setting(orOff(rate(), false), false, 'Most calls per second that this process makes.'),
  limitMode: setting(policyMode(), 'on', 'Whether the limit acts; in `shadow` it counts what it would have refused.'),
  pace: setting(boolean(), false, 'Whether calls wait so that they go evenly spread, for a partner who counts them.'),
  'pace.mode': setting(
    policyMode(),
    'on',
    'Whether it acts; in `shadow` nothing waits, and what would have is counted.',
  ),
  'pace.perSecond': setting(number(0.001, 2_000), paceDefaults.perSecond, 'Calls let go per second.'),
  'pace.maxQueue': setting(integer(1), paceDefaults.maxQueue, 'Calls that may wait; one more is refused.'),
  'pace.priority': setting(
    codeOnly('function', checks.orNull(checks.fn('a function of the call'))),
    null,
    'Which calls go first: 0 to 9; by default all are alike.',
    { env: null },
  ),
  'pace.learn': setting(boolean(), paceDefaults.learn, 'Whether what the service answers changes the pace.'),
  'pace.limiter': setting(
    codeOnly('object', checks.orNull(checks.object('a fleetPace(), or a Bottleneck in Redis mode'))),
    null,
    'A `fleetPace()`, or a `Bottleneck`, that a fleet shares.',
    { env: null },
  ),
  'fallback.to': setting(
    orInCode(orOff(staticReply(), null), makesReply),
    null,
    'What stands in for an answer that did not come.',
    { env: 'FALLBACK' },
  ),
  'fallback.mode': setting(
    policyMode(),
    'on',
    'Whether it acts; in `shadow` it replaces nothing and counts what it would have replaced.',
  ),
  'fallback.service': setting(
    orOff(serviceName, null),
    null,
    'Another service of this client that is asked instead; itself it has no such stand-in.',
  ),
  'fallback.stale': setting(boolean(), false, 'Whether the last good answers to GET and HEAD are kept, and stand in.'),
  'fallback.stale.maxAgeMs': setting(duration(1), staleDefaults.maxAgeMs, 'How long an answer may stand in.'),
  'fallback.stale.maxEntries': setting(integer(1), staleDefaults.maxEntries, 'Answers kept.'),
  'fallback.stale.maxBytes': setting(integer(1), staleDefaults.maxBytes, 'Bytes of all of them.'),
  'fallback.stale.maxBodyBytes': setting(integer(0), staleDefaults.maxBodyBytes, 'Bytes of the body of one.'),
  'fallback.stale.key': setting(
    codeOnly('function', checks.orNull(checks.fn('a function of the call'))),
    null,
    'Tells callers apart who get different answers to the same request.',
    { env: null },
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
  'mirror.to': setting(
    orOff(serviceName, null),
    null,
    'Another service of this client that gets copies of calls; itself it gets none.',
    { env: 'MIRROR' },
  ),
  'mirror.mode': setting(
    policyMode(),
    'on',
    'Whether it acts; in `shadow` it sends no copies and counts what it would have sent.',
  ),
  'mirror.ratio': setting(ratio(), mirrorDefaults.ratio, 'Share of calls that are copied.'),
  'mirror.maxInFlight': setting(integer(1), mirrorDefaults.maxInFlight, 'Copies under way at the same time at most.'),
  'mirror.timeoutMs': setting(duration(1), mirrorDefaults.timeoutMs, 'How long a copy may take.'),
  'mirror.unsafe': setting(boolean(), mirrorDefaults.unsafe, 'Whether calls are copied that are not idempotent.'),
};
