/** @module The layer that chooses an endpoint for each attempt, and learns from how the attempt goes. */
import {
  type Call,
  type Checks,
  checks,
  type Dispatch,
  errorCode,
  judge,
  type Middleware,
  noEndpoint,
  Outcome,
  type Picker,
  type Receiver,
  type Reply,
  relay,
  resolveOptions,
} from '@fairlead/core';
import type { Cluster } from './cluster.js';
import { type LoadReportOptions, LoadReports, loadReportChecks, loadReportDefaults } from './load-reports.js';
import type { Node } from './node.js';
import { p2c } from './p2c.js';

/** What {@link balance} needs to know. */
export interface BalanceOptions {
  /** Whom to choose from. */
  readonly cluster: Cluster;
  /** Who chooses. Default: a new {@link p2c}. A picker remembers things about its nodes; give each service its own. */
  readonly picker?: Picker;
  /**
   * Asks endpoints how loaded they are, and gives those more that are loaded less: true for {@link loadReportDefaults}.
   * Default false: nobody is asked.
   */
  readonly loadReports?: boolean | Partial<LoadReportOptions> | undefined;
}

const balanceChecks: Checks<BalanceOptions> = {
  cluster: checks.object('a cluster'),
  picker: checks.object('a picker'),
  loadReports: checks.either(checks.boolean(), checks.object('options of load reports')),
};

/** On the attributes of an attempt that was sent because another one takes long: the symbol that `hedge` exports. */
const hedged: unique symbol = Symbol.for('fairlead.hedged') as never;

/** Up to so many nodes, those already tried are taken out before a retry picks; above, only if one of them is hit. */
const SMALL = 64;

/**
 * Chooses an endpoint for every attempt: one that this call was not sent to yet, that is healthy, and of the best
 * priority; for a hedge, in a zone where this call has not been yet, if there is such. If everybody was tried, one of those;
 * if nobody is healthy, or only such that no connection can be made to, anybody: health alone never refuses a call.
 * Load is counted until the reply is over, health and latency are judged when its head arrives.
 *
 * Calls that come before discovery has answered wait, as long as their scope and the bounds of the cluster allow.
 * @throws ConfigError on unknown or wrong options; NoEndpointError (as a rejection) if there is nobody to send to
 */
export function balance(options: BalanceOptions): Middleware {
  // Null rather than undefined, which would count as not given.
  const given = { ...options, cluster: options.cluster ?? null };
  const { cluster, picker, loadReports } = resolveOptions<BalanceOptions>(
    'balance',
    given,
    { ...given, picker: p2c(), loadReports: false },
    balanceChecks,
  );
  const choose = picker as Picker;
  const reports = loadReports === false ? null : reportsOf(loadReports === true ? {} : loadReports, cluster);
  return relay('balance', (call, next, receiver) => {
    cluster.start();
    const node = cluster.waking ? null : choice(cluster, choose, call);
    if (node === null) void nobody(cluster, choose, reports, call, next, receiver);
    else send(node, reports, call, cluster.roster.now, next, receiver);
  });
}

function choice(cluster: Cluster, picker: Picker, call: Call): Node | null {
  const { roster } = cluster;
  if (roster.members.length === 0) return null;
  const nodes = roster.preferred(call.at);
  const { tried } = call;
  if (tried.size === 0) {
    // One request each tries out those whose ejection is over. A retry is too precious for that.
    const probe = roster.takeProbe();
    if (probe !== null) return probe;
    const { neighbourhood } = roster;
    return neighbourhood === null ? picker.pick(nodes, call) : neighbourhood.pick(picker, call);
  }
  const hedge = call.attributes[hedged] === true;
  if (nodes.length > SMALL && !hedge) {
    const node = picker.pick(nodes, call);
    if (!tried.has(node.endpoint)) return node;
  }
  const untried = roster.untried(tried);
  if (untried.length === 0) return picker.pick(nodes, call);
  // What makes one endpoint slow often makes its neighbours slow as well.
  return picker.pick(hedge ? roster.elsewhere(untried, tried) : untried, call);
}

function reportsOf(options: Partial<LoadReportOptions> | undefined, { roster }: Cluster): LoadReports {
  return new LoadReports(resolveOptions('loadReports', options, loadReportDefaults, loadReportChecks), roster);
}

function send(
  node: Node,
  reports: LoadReports | null,
  call: Call,
  now: number,
  next: Dispatch,
  receiver: Receiver,
): void {
  const { endpoint } = node;
  call.tried.add(endpoint);
  const placed = call.withEndpoint(endpoint);
  if (reports === null) next(placed, new Sent(node, call, node.enter(now), receiver));
  else next(reports.ask(node, placed, now), new SentToReporter(node, call, node.enter(now), receiver, reports));
}

/** A request on its way to the node that was chosen for it. */
class Sent implements Receiver {
  constructor(
    readonly node: Node,
    readonly call: Call,
    readonly ticket: number,
    readonly receiver: Receiver,
  ) {}

  onReply(reply: Reply): void {
    try {
      this.node.answered(this.call, this.ticket, reply);
    } catch (error) {
      // A layer below gave back something that is no reply, and that will never end.
      this.onError(error);
      return;
    }
    this.receiver.onReply(reply);
  }

  onError(error: unknown): void {
    this.node.failed(this.call, this.ticket, error);
    this.receiver.onError(error);
  }
}

/** A request whose answer may have a load report. */
class SentToReporter extends Sent {
  constructor(
    node: Node,
    call: Call,
    ticket: number,
    receiver: Receiver,
    readonly reports: LoadReports,
  ) {
    super(node, call, ticket, receiver);
  }

  override onReply(reply: Reply): void {
    try {
      const failed = reply.status >= 500 && judge(new Outcome(reply, null, 0)) === 'failure';
      this.reports.answered(this.node, reply, failed);
    } catch (error) {
      // Not a reply, as above.
      this.onError(error);
      return;
    }
    super.onReply(reply);
  }

  override onError(error: unknown): void {
    if (judge(new Outcome(null, error, 0)) === 'failure') this.reports.failed(this.node);
    super.onError(error);
  }
}

/** Waits for discovery, if it may still name somebody. */
async function nobody(
  cluster: Cluster,
  picker: Picker,
  reports: LoadReports | null,
  call: Call,
  next: Dispatch,
  receiver: Receiver,
): Promise<void> {
  let begun = call;
  let node: Node | null = null;
  try {
    if (cluster.state === 'pending' || cluster.waking || cluster.closed) {
      await ready(cluster, call);
      // The wait says nothing about the endpoint.
      begun = call.with({ at: call.runtime.clock.now() });
      node = choice(cluster, picker, begun);
    }
  } catch (error) {
    receiver.onError(error);
    return;
  }
  if (node !== null) {
    send(node, reports, begun, cluster.roster.now, next, receiver);
    return;
  }
  const state = cluster.state === 'failed' ? 'failed' : 'empty';
  receiver.onError(noEndpoint({ service: call.service, state, cause: cluster.lastError ?? undefined }));
}

async function ready(cluster: Cluster, { service, scope }: Call): Promise<void> {
  try {
    await cluster.waitReady(scope);
  } catch (reason) {
    // Out of time is what happened; that discovery has not answered is why, and that nothing was sent.
    if (errorCode(reason) !== 'ERR_TIMEOUT') throw reason;
    throw noEndpoint({ service, state: 'pending', cause: reason });
  }
  scope.throwIfExpired();
}
