// Catches: a wrapped fetch whose endpoints see another Host than their caller wrote, or than they need; a dispatcher that is
// given to a fetch with one of its own; TLS that checks another name than that of the endpoint; and mocks that are bypassed.
import { createRequire } from 'node:module';
import { ConfigError } from '@fairlead/core';
import type { Dispatcher } from '@fairlead/transport';
import { afterEach, describe, expect, it } from 'vitest';
import { type Site, worlds } from '../test/world.js';
import { type WrapFetchInit, type WrappedFetch, wrapFetch } from './wrap-fetch.js';

// Not among this package's dependencies: they are what a user would have.
const require = createRequire(import.meta.url);
const [undici, undici6, undici7] = ['undici', 'undici6', 'undici7'].map((name) => require(name)) as [
  typeof import('undici'),
  typeof import('undici'),
  typeof import('undici'),
];

const world = worlds({ ownConnections: false });
const wrapped: WrappedFetch[] = [];
afterEach(async () => {
  for (const each of wrapped.splice(0)) await each.close();
});

/** A server that says which Host it saw. */
const telling = (): Promise<Site> =>
  world.http((request, response) => response.end(request.headersDistinct.host?.join(' and ')));

function wrap(anyFetch: unknown, origin: string, host?: WrapFetchInit['host']): WrappedFetch {
  const services = { payments: [origin] };
  wrapped.push(wrapFetch(anyFetch as typeof fetch, { environment: false, services, host }));
  return wrapped.at(-1) as WrappedFetch;
}
const hostOf = (origin: string): string => new URL(origin).host;

describe('the Host that an endpoint sees', () => {
  it('is the one that the caller wrote, through the built-in fetch', async () => {
    const { origin } = await telling();
    const fetch = wrap(globalThis.fetch, origin);
    expect(await (await fetch('http://payments/')).text()).toBe('payments');
    expect(await (await fetch('http://payments/', { method: 'PUT', body: 'abc' })).text()).toBe('payments');
    // A host that is no service.
    expect(await (await fetch(origin)).text()).toBe(hostOf(origin));
  });

  it.each([
    ['6', undici6],
    ['7', undici7],
    ['8', undici],
  ])('is so through the fetch of undici %s, where asked for', async (_, copy) => {
    const { origin } = await telling();
    expect(await (await wrap(copy.fetch, origin, 'service')('http://payments/')).text()).toBe('payments');
    expect(await (await wrap(copy.fetch, origin)('http://payments/')).text()).toBe(hostOf(origin));
  });

  it('is its own, where that is asked for', async () => {
    const { origin } = await telling();
    expect(await (await wrap(globalThis.fetch, origin, 'endpoint')('http://payments/')).text()).toBe(hostOf(origin));
  });

  it.each([undefined, 'service', 'endpoint'] as const)('is that of the call, if that names one (%s)', async (host) => {
    const { origin } = await telling();
    const fetch = wrap(globalThis.fetch, origin, host);
    expect(await (await fetch('http://payments/', { headers: { Host: 'tenant.example' } })).text()).toBe(
      'tenant.example',
    );
  });

  it('follows the caller through the dispatcher that is in charge', async () => {
    const mock = new undici.MockAgent();
    mock.disableNetConnect();
    const before = undici.getGlobalDispatcher();
    undici.setGlobalDispatcher(mock);
    try {
      const hosts: unknown[] = [];
      const reply = ({ headers }: { headers?: unknown }): string => {
        hosts.push((headers as Record<string, string>).host);
        return 'mocked';
      };
      mock
        .get('http://10.0.0.1')
        .intercept({ path: '/', method: 'PUT', body: 'abc' })
        .reply(200, reply as never);
      const fetch = wrap(undici.fetch, 'http://10.0.0.1', 'service');
      expect(await (await fetch('http://payments/', { method: 'PUT', body: 'abc' })).text()).toBe('mocked');
      expect(hosts).toEqual(['payments']);
    } finally {
      undici.setGlobalDispatcher(before);
      await mock.close();
    }
  });
});

describe('what a fetch of somebody else is given', () => {
  const given = async (origin: string, host?: WrapFetchInit['host']): Promise<[string | null, boolean]> => {
    let init: RequestInit = {};
    const anyFetch = async (_: string, options: RequestInit) => {
      init = options;
      return new Response('ok');
    };
    await (await wrap(anyFetch, origin, host)('http://payments/')).text();
    return [new Headers(init.headers).get('host'), 'dispatcher' in init];
  };

  it.each([
    ['http://10.0.0.1', undefined, 'payments', false],
    ['http://10.0.0.1', 'service', 'payments', true],
    ['http://10.0.0.1', 'endpoint', null, false],
    ['https://api.example', undefined, null, false],
    ['https://api.example', 'service', 'payments', true],
  ] as const)('for %s and host %s is %s as Host, and a dispatcher: %s', async (origin, host, said, dispatcher) => {
    expect(await given(origin, host)).toEqual([said, dispatcher]);
  });
});

describe('the name for TLS', () => {
  it.each([
    ['https://api.example:8443', 'api.example'],
    ['https://10.0.0.1', undefined],
    ['https://[::1]', undefined],
  ])('of %s is %s', async (origin, servername) => {
    const seen: unknown[] = [];
    const place = Symbol.for('undici.globalDispatcher.2');
    const globals = globalThis as unknown as Record<symbol, unknown>;
    const before = globals[place];
    globals[place] = {
      dispatch(options: { servername?: string; headers: { host: string } }, handler: Dispatcher.DispatchHandler) {
        seen.push([options.servername, options.headers.host]);
        handler.onResponseError?.(null as never, new Error('enough'));
        return true;
      },
    };
    try {
      const fetch = wrap(undici.fetch, origin, 'service');
      await expect(fetch('http://payments/', { method: 'POST', body: 'x' })).rejects.toThrow();
    } finally {
      globals[place] = before;
    }
    expect(seen).toEqual([[servername, 'payments']]);
  });
});

it('refuses what is neither', () => {
  expect(() => wrapFetch(undefined as never)).toThrow('anyFetch');
  expect(() => wrapFetch(fetch, { host: 'both' as never })).toThrow(ConfigError);
});
