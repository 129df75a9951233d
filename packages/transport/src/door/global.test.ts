/**
 * Catches an installed door that touches calls to other hosts, that does not put back exactly what was there, or that takes
 * away what somebody else has put there since.
 */
import { createRequire } from 'node:module';
import { afterEach, describe, expect, it } from 'vitest';
import { globals, legacyPlace, place, places } from '../../test/copies.js';
import { undici, world } from '../../test/door.js';
import { bodyOf, closedPort, httpServer, type TestServer } from '../../test/servers.js';
import type { Dispatcher } from '../undici.js';
import { installDoor } from './index.js';
import { loadParts } from './parts.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function echo(): Promise<TestServer> {
  const server = await httpServer(async (request, response) =>
    response.end(`${request.method} ${request.headers['content-length']} ${await bodyOf(request)}`),
  );
  cleanups.push(() => server.close());
  return server;
}

function service(...list: readonly Pick<TestServer, 'endpoint'>[]): ReturnType<typeof world> {
  const made = world(list.map(({ endpoint }) => endpoint));
  cleanups.push(() => made.close());
  return made;
}

describe('an installed door', () => {
  it('is in the way of its own hosts alone, for the built-in fetch and for undici, and leaves no trace', async () => {
    const before = places();
    const server = await echo();
    const { route, sent } = service({ endpoint: await closedPort() }, server);
    const restore = installDoor({ route });
    try {
      const ask = { method: 'PUT', body: 'abc', headers: { 'content-length': '3' } };
      expect(await (await fetch('http://svc/', ask)).text()).toBe('PUT 3 abc');
      expect(sent).toHaveLength(2);
      expect(await (await undici.request('http://svc/', { ...ask, method: 'PUT' })).body.text()).toBe('PUT 3 abc');
      expect(sent.length).toBeGreaterThan(2);
      const all = sent.length;
      expect(await (await fetch(server.origin)).text()).toBe('GET undefined ');
      expect(await (await undici.request(server.origin)).body.text()).toBe('GET undefined ');
      expect(sent).toHaveLength(all);
    } finally {
      restore();
    }
    expect(places()).toEqual(before);
    expect(places().every((each, n) => each === before[n])).toBe(true);
  });

  it('hands on to each place what was there, and takes nothing away that came after it', () => {
    const before = places();
    const seen: string[] = [];
    const spy = (name: string): Dispatcher => ({ dispatch: () => seen.push(name) > 0 }) as unknown as Dispatcher;
    try {
      globals[legacyPlace] = spy('first');
      globals[place] = spy('second');
      const restore = installDoor({ route: () => null });
      const door = globals[place] as Dispatcher;
      const options = { origin: 'http://elsewhere', path: '/', method: 'GET' } as const;
      door.dispatch(options, { onConnect() {} } as never);
      door.dispatch(options, { onRequestStart() {} });
      expect(seen).toEqual(['first', 'second']);
      const later = spy('later');
      globals[place] = later;
      restore();
      expect((places()[0] as Dispatcher).dispatch(options, {})).toBe(true);
      expect([seen.at(-1), places()[1]]).toEqual(['first', later]);
    } finally {
      [globals[legacyPlace], globals[place]] = before;
    }
  });

  it('that was taken away by somebody who has wrapped it knows no services any more', async () => {
    const before = places();
    const { route } = service(await echo());
    const seen: unknown[] = [];
    try {
      globals[place] = { dispatch: (options: { origin: unknown }) => seen.push(options.origin) > 0 };
      const restore = installDoor({ route });
      const door = globals[place] as Dispatcher;
      globals[place] = null;
      restore();
      door.dispatch({ origin: 'http://svc', path: '/', method: 'GET' }, { onRequestStart() {} });
      expect(seen).toEqual(['http://svc']);
    } finally {
      [globals[legacyPlace], globals[place]] = before;
    }
  });

  it('leaves a dispatcher where there was none, for the undici that found the door there', () => {
    const before = places();
    try {
      globals[place] = undefined;
      globals[legacyPlace] = undefined;
      installDoor({ route: () => null })();
      expect(typeof (globals[place] as Dispatcher).dispatch).toBe('function');
      expect(globals[legacyPlace]).toBeUndefined();
    } finally {
      [globals[legacyPlace], globals[place]] = before;
    }
  });
});

describe('the parts of undici', () => {
  it('come from the index where their paths lead nowhere, which changes nothing global', () => {
    const before = places();
    const require = createRequire(import.meta.url);
    const parts = loadParts((path) => {
      if (path !== 'undici') throw new Error('no such path');
      return require(path);
    });
    expect(parts.Dispatcher).toBe(undici.Dispatcher);
    expect(parts.errors).toBe(undici.errors);
    expect(parts.Agent()).toBe(undici.Agent);
    expect(typeof parts.api().request).toBe('function');
    expect(typeof parts.Dispatcher1Wrapper().wrapHandler).toBe('function');
    expect(places().every((each, n) => each === before[n])).toBe(true);
  });
});
