/**
 * @module A Consul server that follows its documented rules: it holds a query back that names the index it is at, for the
 * time asked for and up to a sixteenth more, answers at once if the state is past that index, and can be restored from a
 * snapshot, restarted, frozen, put behind a proxy, or guarded by tokens.
 */
import {
  type Call,
  type Clock,
  createReply,
  headerOf,
  type Reply,
  type ScopeWatcher,
  Timer,
  TransportError,
} from '@fairlead/core';

/** An instance as the health endpoint tells it. */
export interface Instance {
  readonly Node: Record<string, unknown>;
  readonly Service: Record<string, unknown>;
  readonly Checks?: readonly { readonly Status: string }[] | null;
}

/** An instance at `origin`, with nothing special about it. */
export function instanceAt(origin: string, service: Record<string, unknown> = {}): Instance {
  const { hostname, port } = new URL(origin);
  return {
    Node: { Node: `node-${hostname}`, Address: '192.0.2.1', Datacenter: 'dc1', Meta: null, TaggedAddresses: null },
    Service: {
      ID: `payments-${hostname}-${port}`,
      Address: hostname,
      Port: Number(port),
      Tags: [],
      Meta: null,
      Weights: { Passing: 1, Warning: 1 },
      ...service,
    },
    Checks: [{ Status: 'passing' }],
  };
}

/** One query as it came. */
export interface Query {
  readonly at: number;
  readonly path: string;
  readonly index: number;
  /** How long it may be held back, in ms; 0 if it is no blocking one. */
  readonly waitMs: number;
  readonly token: string | undefined;
  readonly authorization: string | undefined;
}

/** A query that is held back. */
class Held extends Timer implements ScopeWatcher {
  override background = true;
  readonly call: Call;
  readonly index: number;
  readonly #settle: (reply: Reply | null, error: unknown) => void;
  constructor(call: Call, index: number, settle: (reply: Reply | null, error: unknown) => void) {
    super();
    this.call = call;
    this.index = index;
    this.#settle = settle;
  }
  fire(): void {
    this.end(null, null);
  }
  onCancel(reason: unknown): void {
    this.end(null, reason);
  }
  end(reply: Reply | null, error: unknown): void {
    this.call.runtime.clock.disarm(this);
    this.call.scope.unwatch(this);
    this.#settle(reply, error);
  }
}

export class ScriptedConsul {
  readonly queries: Query[] = [];
  index = 40;
  instances: readonly Instance[] = [];
  /** The token that is asked for; null for none. */
  token: string | null = null;
  /** Nobody is seen for want of rights, and it says so. */
  blind = false;
  /** Headers of every answer, in place of the usual ones. */
  headers: Record<string, string | undefined> = {};
  /** An answer in place of the right one. */
  instead: { readonly status: number; readonly body: string; readonly headers?: Record<string, string> } | null = null;
  state: 'well' | 'down' | 'frozen' = 'well';
  readonly #held = new Set<Held>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Queries that have no answer. */
  get held(): number {
    return this.#held.size;
  }

  /** The instances are these from now on. */
  set(...instances: readonly Instance[]): void {
    this.state = 'well';
    this.instead = null;
    this.instances = instances;
    this.touch();
  }

  /** A write that changes nothing for this service, or so much that the index moves. */
  touch(by = 1): void {
    this.index += by;
    this.#wake();
  }

  /** The state is another one, from a backup, with a lower index. Whoever waits goes on waiting. */
  restore(index: number, ...instances: readonly Instance[]): void {
    this.index = index;
    this.instances = instances;
  }

  /** Connections are cut, and refused from now on. */
  stop(): void {
    this.state = 'down';
    for (const held of [...this.#held]) held.end(null, this.#cut(held.call));
  }

  /** No query is answered any more, neither those that wait. */
  freeze(): void {
    this.state = 'frozen';
    for (const held of this.#held) this.#clock.disarm(held);
  }

  /** Every query is answered with this. */
  say(status: number, body: string, headers: Record<string, string> = {}): void {
    this.state = 'well';
    this.instead = { status, body, headers };
    for (const held of [...this.#held]) held.fire();
  }

  readonly handler = (call: Call): Promise<Reply> => {
    const about = new URL(call.path, 'http://consul').searchParams;
    const index = Number(about.get('index') ?? 0);
    const waitMs = index > 0 ? Number.parseFloat(about.get('wait') ?? '300000ms') : 0;
    const token = headerOf(call.headers, 'x-consul-token');
    const authorization = headerOf(call.headers, 'authorization');
    this.queries.push({ at: this.#clock.now(), path: call.path, index, waitMs, token, authorization });
    if (this.state === 'down') return Promise.reject(this.#cut(call));
    return new Promise((resolve, reject) => {
      const held = new Held(call, index, (reply, error) => {
        this.#held.delete(held);
        if (error !== null) reject(error);
        else resolve(reply ?? this.#answer(token));
      });
      this.#held.add(held);
      call.scope.watch(held);
      if (this.state === 'frozen') return;
      if (index === 0 || this.index > index || this.instead !== null) held.fire();
      else this.#clock.arm(held, this.#clock.now() + waitMs * (1 + this.#clock.random() / 16));
    });
  };

  #wake(): void {
    for (const held of [...this.#held]) if (held.armed && this.index > held.index) held.fire();
  }

  #answer(token: string | undefined): Reply {
    const { instead, token: wanted } = this;
    if (instead !== null) return createReply({ ...instead, at: this.#clock.now() });
    if (wanted !== null && token !== undefined && token !== wanted) {
      return createReply({ status: 403, body: 'ACL not found', at: this.#clock.now() });
    }
    // Without a token the anonymous one holds, and what it may not see is left out without a word.
    const seen = (wanted === null || token === wanted) && !this.blind ? this.instances : [];
    const filtered = { 'x-consul-results-filtered-by-acls': this.blind ? 'true' : undefined };
    return createReply({
      headers: { 'x-consul-index': String(this.index), 'x-consul-knownleader': 'true', ...filtered, ...this.headers },
      body: JSON.stringify(seen),
      at: this.#clock.now(),
    });
  }

  #cut(call: Call): TransportError {
    return new TransportError({ phase: 'connect', sent: 'no', service: call.service, message: 'ECONNREFUSED' });
  }
}
