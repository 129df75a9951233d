// Catches: an endpoint that is lost, or stays as a ghost, after some history of changes, restores, restarts, freezes,
// nonsense and lost rights that nobody thought of.
import { createEndpoint, type Endpoint, Scope } from '@fairlead/core';
import { checkLeaks, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { instanceAt, ScriptedConsul } from '../../../test/scripted-consul.js';
import { consul } from './consul.js';

const places = Array.from({ length: 6 }, (_, i) => `http://10.0.0.${i + 1}:8080`);

async function play(seed: number, steps: number): Promise<number> {
  const clock = new VirtualClock({ seed });
  const server = new ScriptedConsul(clock);
  const access = {
    server: createEndpoint('http://127.0.0.1:8500'),
    tls: null,
    namespace: null,
    partition: null,
    token: () => null,
  };
  const chance = (n: number): number => Math.floor(clock.random() * n);
  /** What was all that there is at some time since the latest rest. */
  const truths = new Set<string>(['']);
  const next = (): string[] => {
    const present = places.filter(() => clock.random() < 0.5);
    truths.add(present.join());
    return present;
  };
  const ghosts: string[] = [];
  let told: string | null = null;
  let tellings = 0;
  const hear = (endpoints: readonly Endpoint[]): void => {
    told = endpoints.map(({ origin }) => origin).join();
    tellings++;
    if (!truths.has(told)) ghosts.push(`seed ${seed}: ${told} was never true`);
  };
  const scope = new Scope(clock);
  const resolver = consul({ service: 'payments', access, handler: server.handler });
  resolver.watch((update) => 'endpoints' in update && hear(update.endpoints), scope, { clock });
  /** Lets it come to rest: well again, and as long as it takes to find out that a query waits for what will never come. */
  const rest = async (): Promise<void> => {
    server.blind = false;
    const last = next();
    server.set(...last.map((origin) => instanceAt(origin)));
    await clock.advance(180_000);
    expect(told, `seed ${seed}`).toBe(last.join());
    truths.clear();
    truths.add(last.join());
  };
  for (let step = 0; step < steps; step++) {
    const present = next();
    const instances = present.map((origin) => instanceAt(origin));
    const ways: readonly (() => void)[] = [
      () => server.set(...instances),
      () => server.set(...instances),
      () => server.touch(1 + chance(5)),
      () => server.restore(1 + chance(server.index), ...instances),
      () => server.stop(),
      () => server.freeze(),
      () => server.say(chance(2) === 0 ? 500 : 200, 'nonsense', { 'x-consul-index': '3' }),
      () => {
        // Rights are lost: nothing is seen any more, which is not nobody.
        server.blind = true;
        server.set(...instances);
      },
    ];
    server.blind = false;
    ways[chance(ways.length)]?.();
    await clock.advance(chance(3) === 0 ? chance(90_000) : chance(2_000));
    if (chance(6) === 0) await rest();
  }
  await rest();
  scope.cancel();
  await clock.advance(0);
  checkLeaks({ clock, scopes: [scope] });
  expect([server.held, ghosts]).toEqual([0, []]);
  return tellings;
}

describe('consul', () => {
  it('knows the truth in the end, and never tells what was not true, whatever happened', async () => {
    let tellings = 0;
    for (let seed = 1; seed <= 60; seed++) tellings += await play(seed, 60);
    expect(tellings).toBeGreaterThan(1_000);
  });
});
