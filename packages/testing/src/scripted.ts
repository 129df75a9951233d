/**
 * @module A backend that does what a script says, in virtual time. It keeps a transport's side of the contract: it never
 * throws synchronously, minds the call's scope for as long as the reply's body flows, and says when a request is over.
 */
import { type Call, type Clock, type Handler, isOnce, type Reply, type ScopeWatcher, Timer } from '@fairlead/core';
import { ScriptedReply } from './scripted-reply.js';
import { type FailStep, type ReplyStep, type Step, transportError } from './steps.js';

/**
 * What a backend does:
 * - one step: the same for every request
 * - a list: one step for each request; one request too many fails, with an error that says so
 * - a function of the call and its number, from 1
 * - an object: a script of its own for each endpoint, by id or origin
 */
export type Script =
  | Step
  | readonly Step[]
  | ((call: Call, n: number) => Step)
  | { readonly [endpoint: string]: Script };

/** A handler that plays a {@link Script}, and remembers. */
export interface ScriptedBackend extends Handler {
  /** Every call it got, oldest first. */
  readonly calls: readonly Call[];
  /** What it has read of the body of each of {@link calls}, as text. */
  readonly bodies: readonly string[];
  /** Requests that have no reply yet. */
  readonly waiting: number;
  /** Replies that are not over. */
  readonly open: number;
  /** The most requests that were waiting or open at one time. */
  readonly peak: number;
}

class Backend {
  readonly calls: Call[] = [];
  readonly bodies: string[] = [];
  waiting = 0;
  open = 0;
  peak = 0;
  readonly #next: (call: Call) => Step;

  constructor(script: Script) {
    this.#next = player(script);
  }

  handle(call: Call): Promise<Reply> {
    const index = this.calls.push(call) - 1;
    this.bodies.push('');
    return new Promise((resolve, reject) => {
      call.scope.throwIfExpired();
      const step = this.#next(call);
      this.waiting++;
      this.peak = Math.max(this.peak, this.waiting + this.open);
      const exchange = new Exchange(call, step, (reply, error) => {
        this.waiting--;
        if (reply === null) return reject(error);
        this.open++;
        resolve(new ScriptedReply(reply, call, () => this.open--));
      });
      call.scope.watch(exchange);
      if (step.kind !== 'hang' && step.early) exchange.answer();
      else void this.#read(call, index, exchange);
    });
  }

  async #read(call: Call, index: number, exchange: Exchange): Promise<void> {
    const { body } = call;
    if (body === null || typeof body === 'string' || body instanceof Uint8Array) {
      this.bodies[index] = typeof body === 'string' ? body : decode(body);
      return exchange.answer();
    }
    const chunks: Uint8Array[] = [];
    try {
      if (isOnce(body)) {
        if (body.started) throw new Error('the body has been sent before');
        body.started = true;
      }
      for await (const chunk of isOnce(body) ? body.once : body.open()) {
        if (exchange.settled) return;
        chunks.push(chunk);
        this.bodies[index] = decode(Buffer.concat(chunks));
      }
      exchange.answer();
    } catch (error) {
      exchange.fail(transportError(call, 'send', 'body', error));
    }
  }
}

function decode(bytes: Uint8Array | null): string {
  return bytes === null ? '' : new TextDecoder().decode(bytes);
}

/** One request until its reply, or its failure. Its timer is the time until then. */
class Exchange extends Timer implements ScopeWatcher {
  settled = false;
  readonly #call: Call;
  readonly #clock: Clock;
  readonly #step: Step;
  readonly #done: (reply: ReplyStep | null, error: unknown) => void;

  constructor(call: Call, step: Step, done: (reply: ReplyStep | null, error: unknown) => void) {
    super();
    this.#call = call;
    this.#clock = call.runtime.clock;
    this.#step = step;
    this.#done = done;
  }

  /** The request has been read. */
  answer(): void {
    if (this.settled || this.#step.kind === 'hang') return;
    if (this.#step.afterMs > 0) this.#clock.arm(this, this.#clock.now() + this.#step.afterMs);
    else this.fire();
  }

  fire(): void {
    const step = this.#step as ReplyStep | FailStep;
    if (step.kind === 'reply') this.#settle(step, null);
    else this.#settle(null, step.error(this.#call));
  }

  fail(error: unknown): void {
    this.#settle(null, error);
  }

  onCancel(reason: unknown): void {
    this.#settle(null, reason);
  }

  #settle(reply: ReplyStep | null, error: unknown): void {
    if (this.settled) return;
    this.settled = true;
    this.#clock.disarm(this);
    this.#call.scope.unwatch(this);
    this.#done(reply, error);
  }
}

function player(script: Script): (call: Call) => Step {
  let n = 0;
  if (typeof script === 'function') return (call) => script(call, ++n);
  if (isList(script)) {
    return (call) => {
      const step = script[n++];
      if (step === undefined) {
        throw new Error(`the script for ${call.service} has ${script.length} steps, and this is request ${n}`);
      }
      return step;
    };
  }
  if (isStep(script)) return () => script;
  const players = new Map(Object.entries(script).map(([endpoint, own]) => [endpoint, player(own)]));
  return (call) => {
    const own = players.get(call.endpoint?.id ?? '') ?? players.get(call.endpoint?.origin ?? '');
    if (own === undefined) throw new Error(`there is no script for endpoint ${call.endpoint?.id ?? '(none)'}`);
    return own(call);
  };
}

function isList(script: Script): script is readonly Step[] {
  return Array.isArray(script);
}

function isStep(script: object): script is Step {
  return 'kind' in script && typeof script.kind === 'string';
}

/**
 * Makes a backend that plays `script`.
 * @example
 * const backend = scripted([reply(503), reply(200, { body: 'ok', afterMs: 20 })]);
 */
export function scripted(script: Script): ScriptedBackend {
  const backend = new Backend(script);
  const handler = (call: Call): Promise<Reply> => backend.handle(call);
  return Object.defineProperties(handler, {
    calls: { value: backend.calls },
    bodies: { value: backend.bodies },
    waiting: { get: () => backend.waiting },
    open: { get: () => backend.open },
    peak: { get: () => backend.peak },
  }) as ScriptedBackend;
}
