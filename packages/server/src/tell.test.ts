/** Would catch a load report that balancers cannot read or nobody asked for, and times that are told to all, or not to those who ask. */
import { afterEach, describe, expect, it } from 'vitest';
import { adapters, ask, start, stopServers } from '../tests/harness.js';
import { createGuard, eventLoop, shed } from './index.js';
import { formatLoad, LOAD, readTell, TIMING } from './tell.js';

afterEach(stopServers);

describe.each(adapters)('a guard under %s', (adapter) => {
  it('tells its load and its times to whoever asks for them, with what the handler tells', async () => {
    const guard = createGuard({ shed: shed({ loop: { ...eventLoop, heapRatio: () => 0.25 } }) });
    const { port } = await start(adapter, guard, (_req, res) => {
      res.setHeader('Server-Timing', 'db;dur=1');
      res.end('done');
    });
    expect((await ask(port)).headers).not.toMatchObject({ 'endpoint-load-metrics': expect.anything() });
    const { headers } = await ask(port, { headers: { 'X-Fairlead-Tell': 'load, timing' } });
    expect(headers).toMatchObject({
      'endpoint-load-metrics': expect.stringMatching(
        /^TEXT cpu_utilization=[\d.]+, mem_utilization=0\.25, application_utilization=[\d.]+, rps_fractional=[\d.]+$/,
      ),
      'server-timing': expect.stringMatching(/^queue;dur=0, handler;dur=[\d.]+, db;dur=1$/),
    });
    expect((await ask(port)).headers['server-timing']).toBe('db;dur=1');
  });

  it('tells nobody if it is not to', async () => {
    const guard = createGuard({ shed: shed(), tells: false });
    const { port } = await start(adapter, guard, (_req, res) => res.end('done'));
    const { headers } = await ask(port, { headers: { 'x-fairlead-tell': 'load, timing' } });
    expect([headers['endpoint-load-metrics'], headers['server-timing']]).toEqual([undefined, undefined]);
  });
});

it.each([
  ['load', LOAD],
  [' timing ', TIMING],
  ['timing,load', LOAD + TIMING],
  ['everything', 0],
  ['', 0],
])('x-fairlead-tell: %j asks for %j', (value, asked) => {
  expect(readTell(value)).toBe(asked);
});

it('a load report has no more than three decimals', () => {
  expect(formatLoad({ cpu: 1 / 3, memory: 0, application: 1.23456, perSecond: 999.9999 })).toBe(
    'TEXT cpu_utilization=0.333, mem_utilization=0, application_utilization=1.235, rps_fractional=1000',
  );
});
