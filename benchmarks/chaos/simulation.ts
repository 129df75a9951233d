/**
 * @module Services with several endpoints each, callers, and everything that can go wrong, in virtual time: the shipped
 * stack between the callers and a network that does as `faults.ts` has drawn. The same seed is the same run.
 */
import type { Call, Endpoint, Handler, Middleware, Resolver, ResolverUpdate, Runtime } from '@fairlead/core';
import { createEndpoint, headerOf, later } from '@fairlead/core';
import { Prng, type ScriptedBackend, scripted, VirtualClock } from '@fairlead/testing';
import type { Client, ClientInit, ServiceOptions } from 'fairlead';
import { type Caller, callByFetch, callByHand, type Ending, kindOf } from './callers.ts';
import { fateOf } from './fate.ts';
import { episodesUntil, type Place } from './faults.ts';
import { GatheredReply } from './gathered-reply.ts';
import { type Permitted, possible } from './oracle.ts';

/** What to simulate. */
export interface ChaosOptions {
  readonly seed: number;
  /** Virtual time in which calls are made. */
  readonly ms: number;
  /** Default 20. */
  readonly services?: number;
  /** Calls per second to each service. Default 10. */
  readonly perSecond?: number;
  /** Mean time at one place between the end of a fault and the next, in ms. Default 300,000. */
  readonly quietMs?: number;
  /** Makes the client over a network. */
  readonly makeClient: (init: ClientInit, network: Handler) => Client;
}

/** What came of it. */
export interface ChaosReport {
  /** Calls that their callers wanted an answer to. */
  readonly calls: number;
  readonly good: number;
  /** Calls that failed although the oracle knows a way. */
  readonly missed: number;
  /** Attempts that reached the network. */
  readonly attempts: number;
  /** How often calls ended how, those of callers who lost interest included. */
  readonly endings: Readonly<Record<string, number>>;
  /** The same for calls that the oracle knows a way for: what there is to be won. */
  readonly missedEndings: Readonly<Record<string, number>>;
  /** What must not be: late ends, second deliveries, leaks. */
  readonly complaints: readonly string[];
}

const permitted: Permitted = { attempts: 3, attemptTimeoutMs: 500, timeoutMs: 3_000, baseMs: 25, maxMs: 250 };
/** How late a call may end. */
const GRACE_MS = 50;

/** Not all services are called alike. */
const manners: readonly ServiceOptions[] = [
  {},
  { hedge: true },
  { cost: 'latency' },
  { throttle: true },
  { picker: 'roundRobin' },
  { hedge: { attempts: 2 }, cost: 'latency', throttle: true },
];

interface Site {
  readonly name: string;
  readonly places: readonly Place[];
  readonly resolver: Resolver;
}

/** Runs it. */
export async function simulate(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, ms, services = 20, perSecond = 10, quietMs = 300_000, makeClient } = options;
  const clock = new VirtualClock({ seed });
  const runtime: Runtime = { clock };
  const prng = new Prng(seed);
  const sites = Array.from({ length: services }, (_, i) => makeSite(i, ms, quietMs, prng));
  const places = new Map(sites.flatMap((site) => site.places).map((place) => [place.id, place]));
  const network = makeNetwork(places);
  const client = makeClient(
    {
      environment: false,
      clock,
      services: Object.fromEntries(
        sites.map(({ name, resolver }, i) => [
          name,
          {
            from: resolver,
            timeoutMs: permitted.timeoutMs,
            attemptTimeoutMs: permitted.attemptTimeoutMs,
            ...manners[i % manners.length],
          },
        ]),
      ),
    },
    (call) => network(call).then((reply) => new GatheredReply(reply)),
  );
  const complaints: string[] = [];
  const complain = (what: string): void =>
    void complaints.push(`seed ${seed}, at ${clock.now().toFixed(1)} ms: ${what}`);
  const blocks = jolts(clock, ms, prng);
  const delivered = new Set<string>();
  const report = { calls: 0, good: 0, missed: 0, attempts: 0, endings: {}, missedEndings: {}, complaints } as {
    -readonly [K in keyof ChaosReport]: ChaosReport[K];
  };
  const [endings, missedEndings]: Record<string, number>[] = [{}, {}];
  report.endings = endings as Record<string, number>;
  report.missedEndings = missedEndings as Record<string, number>;
  const add = (counts: Record<string, number> | undefined, kind: string): void => {
    if (counts !== undefined) counts[kind] = (counts[kind] ?? 0) + 1;
  };
  let open = 0;
  let numbers = 0;

  const callOnce = async (site: Site): Promise<void> => {
    const at = clock.now();
    const dice = prng.random();
    const caller: Caller = {
      number: ++numbers,
      service: site.name,
      // GET for the most part; a few that must not be repeated unless they were not sent.
      method: dice < 0.75 ? 'GET' : dice < 0.97 ? 'PUT' : 'POST',
      abortMs: prng.random() < 0.02 ? prng.random() * 100 : null,
      discards: prng.random() < 0.02,
    };
    open++;
    const ending =
      prng.random() < 0.5
        ? await callByHand(caller, client.handler(site.name), runtime, complain)
        : await callByFetch(caller, client.fetch, runtime, complain);
    open--;
    check(caller, at, ending);
    add(endings, caller.abortMs === null ? kindOf(ending) : 'caller lost interest');
    if (caller.abortMs !== null) return;
    report.calls++;
    if (ending.text !== null) {
      report.good++;
      return;
    }
    const question = { number: caller.number, at, idempotent: caller.method !== 'POST' };
    if (!possible(question, site.places, permitted)) return;
    report.missed++;
    add(missedEndings, `${caller.method} ${kindOf(ending)}`);
  };

  const check = ({ number, abortMs, discards }: Caller, at: number, ending: Ending): void => {
    const { text } = ending;
    // Nothing can end while the event loop is blocked.
    const due = at + Math.min(permitted.timeoutMs, abortMs ?? Number.POSITIVE_INFINITY);
    const late = ending.at - blocks.endOf(due);
    if (late > GRACE_MS) complain(`call ${number} ended ${late.toFixed(0)} ms late`);
    if (text === null || discards) return;
    const [id] = text.split('|');
    if (!id?.startsWith(`${number}.`)) complain(`call ${number} was given the answer ${id}`);
    else if (delivered.has(id)) complain(`answer ${id} was delivered twice`);
    else delivered.add(id);
  };

  for (const site of sites) {
    const next = (): void => {
      if (clock.now() >= ms) return;
      void callOnce(site);
      later(clock, (-Math.log(1 - prng.random()) * 1_000) / perSecond, next);
    };
    next();
  }
  await clock.advance(ms + permitted.timeoutMs + GRACE_MS + 2_000);
  report.attempts = network.calls.length;
  if (open > 0) complain(`${open} calls have not ended`);
  for (const [name, { endpoints }] of Object.entries(client.describe())) {
    for (const { id, inFlight } of endpoints) if (inFlight > 0) complain(`${name}: ${inFlight} in flight at ${id}`);
  }
  await client.close();
  if (network.waiting + network.open > 0)
    complain(`${network.waiting} requests wait, ${network.open} replies are open`);
  for (const timer of clock.armed) complain(`an armed timer is left: ${timer.constructor.name}`);
  return report;
}

function makeSite(index: number, ms: number, quietMs: number, prng: Prng): Site {
  const size = 3 + Math.floor(prng.random() * 6);
  const places = Array.from({ length: size }, (_, i) => ({
    id: `http://10.0.${index}.${i + 1}:8080`,
    index: index * 256 + i,
    episodes: episodesUntil(ms, quietMs, prng),
  }));
  return { name: `s${index}`, places, resolver: discovery(places) };
}

/** Tells who is there; of those that are dead, a second late, and not of all. */
function discovery(places: readonly Place[]): Resolver {
  const endpoints = new Map<Place, Endpoint>(places.map((place) => [place, createEndpoint(place.id)]));
  return {
    name: 'chaos',
    watch(tell, scope, { clock }) {
      const snapshot = (): ResolverUpdate => {
        const now = clock.now();
        const gone = (place: Place): boolean =>
          place.episodes.some(
            ({ fault, noticed, from, to }) => fault === 'dead' && noticed && from + 1_000 <= now && now < to,
          );
        return { endpoints: places.filter((place) => !gone(place)).map((place) => endpoints.get(place) as Endpoint) };
      };
      tell(snapshot());
      const look = (): void => {
        if (scope.canceled) return;
        tell(clock.random() < 0.05 ? { error: new Error('discovery is unwell, too') } : snapshot());
        timer = later(clock, 500, look, true);
      };
      let timer = later(clock, 500, look, true);
      scope.watch({ onCancel: () => clock.disarm(timer) });
    },
  };
}

function makeNetwork(places: ReadonlyMap<string, Place>): ScriptedBackend {
  return scripted((call: Call, n) => {
    const number = Number(headerOf(call.headers, 'x-call'));
    const place = places.get(call.endpoint?.id ?? '') as Place;
    return fateOf(number, place, call.runtime.clock.now()).step(`${number}.${n}|`);
  });
}

/** The wall clock is set forward and back, and the event loop is blocked now and then. */
function jolts(clock: VirtualClock, ms: number, prng: Prng): { endOf(at: number): number } {
  const blocks: { from: number; to: number }[] = [];
  for (let at = prng.random() * 20_000; at < ms; at += prng.random() * 60_000) {
    const byMs = (prng.random() - 0.5) * 7_200_000;
    later(clock, at, () => clock.jumpWall(byMs));
  }
  for (let at = prng.random() * 20_000; at < ms; at += 10_000 + prng.random() * 30_000) {
    const length = prng.random() * 200;
    later(clock, at, () => {
      const from = clock.now();
      blocks.push({ from, to: from + length });
      clock.block(length);
    });
  }
  return {
    endOf: (at) => blocks.find(({ from, to }) => from <= at && at < to)?.to ?? at,
  };
}

/** A network as a layer of somebody's own at the place of the transport: what anybody can make a client over. */
export function asLayer(network: Handler): Middleware {
  return function overNetwork(call) {
    return network(call);
  };
}
