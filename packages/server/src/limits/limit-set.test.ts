/**
 * Would catch: a request that one limit refuses and another charges, a client that is sent back before all limits would let
 * it pass, a shared limiter that is asked for nothing, units lost when a caller goes away.
 */
import { type Call, ConfigError, createCall, createReply, type RejectedError } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import * as fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { ask, start, stopServers } from '../../tests/harness.js';
import { exchangeOf } from '../exchange.js';
import {
  createGuard,
  type Limiter,
  type LimitVerdict,
  type RateLimitInit,
  rateLimit,
  type SharedLimiter,
} from '../index.js';

afterEach(stopServers);

/** Units that are spent and do not come back. Uses one verdict again and again, as limiters may. */
class Purse implements Limiter {
  readonly perSecond = 1;
  readonly verdict = { allowed: true, limit: 0, remaining: 0, resetMs: 300, retryAfterMs: 0 };
  constructor(
    readonly burst: number,
    public left: number = burst,
    readonly retryAfterMs = 1_000,
  ) {}
  take(_key: string, _now: number, cost = 1): LimitVerdict {
    const allowed = cost <= this.left;
    if (allowed) this.left -= cost;
    const told = { allowed, limit: this.burst, remaining: Math.floor(this.left) };
    return Object.assign(this.verdict, told, { retryAfterMs: allowed ? 0 : this.retryAfterMs });
  }
  giveBack(_key: string, _now: number, cost: number): void {
    this.left += cost;
  }
}

interface Asked {
  readonly key: string;
  readonly cost: number;
  readonly settle: () => void;
  readonly fail: (error: unknown) => void;
}

/** The same for a fleet: answers when the test says so. */
class FarPurse implements SharedLimiter {
  readonly perSecond = 1;
  readonly burst = 5;
  readonly #purse: Purse;
  readonly #asked: Asked[] = [];
  #waiting: ((asked: Asked) => void) | null = null;
  constructor(left: number) {
    this.#purse = new Purse(this.burst, left);
  }
  get left(): number {
    return this.#purse.left;
  }
  get asked(): number {
    return this.#asked.length;
  }
  ask(key: string, cost: number): Promise<LimitVerdict> {
    return new Promise((resolve, fail) => {
      this.#asked.push({ key, cost, settle: () => resolve({ ...this.#purse.take(key, 0, cost) }), fail });
      this.#waiting?.(this.#asked.at(-1) as Asked);
    });
  }
  giveBack(key: string, since: number, cost: number): void {
    this.#purse.giveBack(key, since, cost);
  }
  /** The first question, once it is asked. */
  question(): Promise<Asked> {
    const [first] = this.#asked;
    return first === undefined ? new Promise((resolve) => (this.#waiting = resolve)) : Promise.resolve(first);
  }
}

const key = (): string => 'me';

async function serve(limits: readonly RateLimitInit[]) {
  const events: unknown[] = [];
  const runtime = { clock: new VirtualClock(), on: (event: unknown) => void events.push(event) };
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const guard = createGuard({ service: 'shop', runtime, onError, layers: [rateLimit(limits)] });
  const { port } = await start('node', guard, (_req, res) => res.end('ok'));
  return { port, events, errors };
}

describe('a list of limits', () => {
  it('charges all of them, and tells them in order', async () => {
    const [a, b] = [new Purse(5), new Purse(100)];
    const { port } = await serve([
      { name: 'burst', limiter: a, key },
      { name: 'sustained', limiter: b, key, cost: 10 },
    ]);
    const { status, headers } = await ask(port);
    expect([status, a.left, b.left]).toEqual([200, 4, 90]);
    expect(headers.ratelimit).toBe('"burst";r=4;t=1, "sustained";r=90;t=1');
    expect(headers['ratelimit-policy']).toBe('"burst";q=5;w=5, "sustained";q=100;w=100');
  });

  it('charges none if one refuses, and says which, and when none would', async () => {
    const purses = [new Purse(5), new Purse(5, 0, 4_000), new Purse(7), new Purse(5, 0, 9_000)] as const;
    const names = ['a', 'b', 'c', 'd'] as const;
    const { port, events } = await serve(
      purses.map((limiter, i) => ({ name: names[i] as string, limiter, key: () => `key-${names[i]}` })),
    );
    const { status, headers, body } = await ask(port);
    expect([status, headers['retry-after'], purses.map(({ left }) => left)]).toEqual([429, '9', [5, 0, 7, 0]]);
    // What was given back is there again, and was never missing.
    expect(headers.ratelimit).toBe('"a";r=5;t=0, "b";r=0;t=1, "c";r=7;t=0, "d";r=0;t=1');
    expect(JSON.parse(body)).toMatchObject({ 'violated-policies': ['b', 'd'] });
    expect(events).toMatchObject([
      { type: 'limit.refused', key: 'key-b', retryAfterMs: 4_000 },
      { type: 'limit.refused', key: 'key-d', retryAfterMs: 9_000 },
      { type: 'request.refused', status: 429, key: 'key-b' },
    ]);
  });

  it('asks a shared limiter last, and not at all about what is refused here', async () => {
    const [own, far, further] = [new Purse(2), new FarPurse(1), new FarPurse(0)];
    const limits = [
      { name: 'far', limiter: far, key },
      { name: 'own', limiter: own, key },
      { name: 'further', limiter: further, key },
    ];
    const { port } = await serve(limits);
    const settled = async (each: FarPurse): Promise<void> => (await each.question()).settle();
    const [answer] = await Promise.all([ask(port), settled(far), settled(further)]);
    expect([answer.status, own.left, far.left, further.left]).toEqual([429, 2, 1, 0]);
    expect(answer.headers.ratelimit).toBe('"far";r=1;t=1, "own";r=2;t=0, "further";r=0;t=1');
    own.left = 0;
    expect((await ask(port)).status).toBe(429);
    expect(far.asked).toBe(1);
  });

  it('gives back what was taken when a limiter rejects or throws', async () => {
    const [own, far] = [new Purse(2), new FarPurse(1)];
    const layer = rateLimit([
      { name: 'own', limiter: own, key },
      { name: 'far', limiter: far, key },
    ]);
    const call = await behindGuard();
    const answer = layer(call, () => Promise.resolve(createReply()));
    expect(own.left).toBe(1);
    (await far.question()).fail(new Error('gone'));
    await expect(answer).rejects.toThrow('gone');
    expect(own.left).toBe(2);
    const boom = (): never => {
      throw new Error('no tenant');
    };
    const broken = rateLimit([
      { name: 'own', limiter: own, key },
      { name: 'broken', limiter: new Purse(1), key: boom },
    ]);
    await expect(broken(call, () => Promise.resolve(createReply()))).rejects.toThrow('no tenant');
    expect(own.left).toBe(2);
  });

  it('leaves out the limits that a request does not count towards', async () => {
    const [a, b] = [new Purse(5), new Purse(5, 0)];
    const { port } = await serve([
      { name: 'a', limiter: a, key },
      { name: 'exports', limiter: b, key, cost: (call) => (call.path === '/export' ? 1 : 0) },
    ]);
    expect(await ask(port)).toMatchObject({ status: 200, headers: { ratelimit: '"a";r=4;t=1' } });
    expect((await ask(port, { path: '/export' })).status).toBe(429);
    expect(a.left).toBe(4);
  });

  it('charges all or none, whatever is asked of whatever is left', async () => {
    const call = await behindGuard();
    const purses = fc.array(
      fc.record({ left: fc.integer({ min: 0, max: 20 }), cost: fc.integer({ min: 0, max: 8 }) }),
      {
        minLength: 1,
        maxLength: 5,
      },
    );
    await fc.assert(
      fc.asyncProperty(purses, async (given) => {
        const limiters = given.map(({ left }) => new Purse(100, left));
        const layer = rateLimit(
          given.map(({ cost }, i) => ({ name: `n${i}`, key, cost, limiter: limiters[i] as Purse })),
        );
        for (let round = 0; round < 5; round++) {
          const before = limiters.map(({ left }) => left);
          const fits = given.every(({ cost }, i) => cost <= (before[i] as number));
          const refused = await layer(call, () => Promise.resolve(createReply())).then(
            () => null,
            (error: RejectedError) => error,
          );
          expect(refused === null).toBe(fits);
          const after = given.map(({ cost }, i) => (before[i] as number) - (fits ? cost : 0));
          expect(limiters.map(({ left }) => left)).toEqual(after);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('wants names that differ, and limiters that give back', () => {
    const { take, perSecond, burst } = { take: () => new Purse(1).verdict, perSecond: 1, burst: 1 };
    const keeps = { take, perSecond, burst };
    const make = (): unknown =>
      rateLimit([
        { limiter: keeps, key },
        { limiter: new Purse(1), key },
      ]);
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(/rateLimit\.name[\s\S]*giveBack/);
    expect(() => rateLimit([])).toThrow('at least one');
    expect(() => rateLimit([{ limiter: keeps, key }])).not.toThrow();
  });
});

describe('a shared limiter by itself', () => {
  it('is waited for, or not if it knows already', async () => {
    const far = new FarPurse(1);
    const { port } = await serve([{ limiter: far, key, cost: 1 }]);
    const answer = ask(port);
    const question = await far.question();
    expect(question).toMatchObject({ key: 'me', cost: 1 });
    question.settle();
    expect(await answer).toMatchObject({ status: 200, headers: { ratelimit: '"default";r=0;t=1' } });
    const purse = new Purse(1);
    const knows = { perSecond: 1, burst: 1, ask: (name: string, cost: number) => purse.take(name, 0, cost) };
    const other = await serve([{ limiter: knows, key }]);
    expect((await ask(other.port)).status).toBe(200);
    expect((await ask(other.port)).status).toBe(429);
  });

  it('that rejects is an error of the layer', async () => {
    const limiter = { perSecond: 1, burst: 1, ask: () => Promise.reject(new Error('boom')) };
    const { port, errors } = await serve([{ limiter, key }]);
    expect((await ask(port)).status).toBe(500);
    expect(errors).toMatchObject([{ message: 'boom' }]);
  });
});

/** A call whose request has come through a guard, for layers that are called by hand. */
async function behindGuard(): Promise<Call> {
  let seen: Call | null = null;
  const guard = createGuard({
    layers: [
      (call, next) => {
        seen = call;
        return next(call);
      },
    ],
  });
  const { port } = await start('node', guard, (_req, res) => res.end());
  await ask(port);
  const call = seen as Call | null;
  if (call === null) throw new Error('no call');
  expect(exchangeOf(call).begun).toBe(true);
  return createCall({ service: 'shop', runtime: { clock: new VirtualClock() } }).with({ scope: call.scope });
}
