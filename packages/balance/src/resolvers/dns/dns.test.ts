// Catches: an endpoint that DNS no longer knows and we do, a failure taken for "nobody", questions asked too often, too
// seldom or two at a time, SRV records read in the wrong order, and a watch that goes on after its end.
import { type Endpoint, type ResolverUpdate, Scope } from '@fairlead/core';
import { checkLeaks, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { type DnsOptions, dns, dnsDefaults } from './dns.js';
import type { DnsAddress, DnsAsk, DnsService } from './dns-ask.js';

type Answer<T> = readonly T[] | string;

/** A zone that a test changes as it goes; a string is the code of a failure. */
class Zone implements DnsAsk {
  readonly asked: string[] = [];
  readonly records: Record<string, Answer<DnsAddress | DnsService>> = {};
  canceled = 0;
  under = 0;
  most = 0;
  /** Holds answers back while set. */
  gate: Promise<void> | null = null;

  async #answer<T>(key: string): Promise<readonly T[]> {
    this.asked.push(key);
    this.most = Math.max(this.most, ++this.under);
    if (this.gate !== null) await this.gate;
    this.under--;
    const found = this.records[key] ?? 'ENOTFOUND';
    if (typeof found === 'string') throw Object.assign(new Error(`query ${found} ${key}`), { code: found });
    return found as readonly T[];
  }
  a(name: string): Promise<readonly DnsAddress[]> {
    return this.#answer(`A ${name}`);
  }
  aaaa(name: string): Promise<readonly DnsAddress[]> {
    return this.#answer(`AAAA ${name}`);
  }
  srv(name: string): Promise<readonly DnsService[]> {
    return this.#answer(`SRV ${name}`);
  }
  cancel(): void {
    this.canceled++;
  }
}

function watch(options: Partial<DnsOptions>, seed = 1) {
  const clock = new VirtualClock({ seed });
  const zone = new Zone();
  const scope = new Scope(clock);
  const told: ResolverUpdate[] = [];
  const times: number[] = [];
  const tell = (update: ResolverUpdate): void => {
    told.push(update);
    times.push(clock.now());
  };
  const resolver = dns({ host: 'payments.prod', port: 8080, ask: zone, ...options });
  const start = async (): Promise<void> => {
    resolver.watch(tell, scope, { clock });
    await clock.advance(0);
  };
  const last = (): readonly Endpoint[] => (told.at(-1) as { endpoints: readonly Endpoint[] }).endpoints;
  const origins = (): string[] => last().map((endpoint) => endpoint.origin);
  return { clock, zone, scope, told, times, start, last, origins, resolver };
}

const address = (text: string, ttl = 5): DnsAddress => ({ address: text, ttl });

describe('dns', () => {
  it('tells every address, with its name for TLS', async () => {
    const { zone, start, origins, last, resolver } = watch({});
    zone.records['A payments.prod'] = [address('10.0.0.1'), address('10.0.0.2')];
    await start();
    expect(origins()).toEqual(['http://10.0.0.1:8080', 'http://10.0.0.2:8080']);
    expect(last()[0]?.attributes).toEqual({ serverName: 'payments.prod' });
    expect(resolver.name).toBe('dns://payments.prod:8080');
    expect(zone.asked).toEqual(['A payments.prod']);
  });

  it('asks again when the TTL is over, ±10 %, and tells what is new', async () => {
    const { zone, start, origins, clock, times, told } = watch({});
    zone.records['A payments.prod'] = [address('10.0.0.1', 30), address('10.0.0.2', 5)];
    await start();
    zone.records['A payments.prod'] = [address('10.0.0.3', 5)];
    await clock.advance(4_499);
    expect(told).toHaveLength(1);
    await clock.advance(1_001);
    expect(origins()).toEqual(['http://10.0.0.3:8080']);
    await clock.advance(1_000_000);
    const gaps = times.slice(1).map((time, i) => time - (times[i] as number));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(4_500);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(5_500);
    expect(Math.max(...gaps) - Math.min(...gaps)).toBeGreaterThan(800);
  });

  it.each([
    [0, 1_000],
    [86_400, 60_000],
  ])('does not believe a TTL of %i s: asks again after %i ms', async (ttl, ms) => {
    const { zone, start, clock, told } = watch({});
    zone.records['A payments.prod'] = [address('10.0.0.1', ttl)];
    await start();
    await clock.advance(0.9 * ms - 1);
    expect(told).toHaveLength(1);
    await clock.advance(0.2 * ms + 1);
    expect(told).toHaveLength(2);
  });

  it('uses IPv6 where there is no IPv4, in brackets; or only the family it is told', async () => {
    const six = watch({});
    six.zone.records['AAAA payments.prod'] = [address('fd00::1')];
    await six.start();
    expect(six.origins()).toEqual(['http://[fd00::1]:8080']);

    const both = { 'A payments.prod': [address('10.0.0.1')], 'AAAA payments.prod': [address('fd00::1')] };
    for (const [family, expected] of [
      [null, 'http://10.0.0.1:8080'],
      [4, 'http://10.0.0.1:8080'],
      [6, 'http://[fd00::1]:8080'],
    ] as const) {
      const { zone, start, origins } = watch({ family });
      Object.assign(zone.records, both);
      await start();
      expect(origins()).toEqual([expected]);
      expect(zone.asked).toHaveLength(1);
    }
  });

  it('takes "no such name" and "no data" for nobody, and asks again', async () => {
    for (const nothing of ['ENOTFOUND', 'ENODATA', []] as const) {
      const { zone, start, told, clock, origins } = watch({});
      zone.records['A payments.prod'] = zone.records['AAAA payments.prod'] = nothing;
      await start();
      expect(told).toEqual([{ endpoints: [] }]);
      zone.records['A payments.prod'] = [address('10.0.0.1')];
      await clock.advance(11_000);
      expect(origins()).toEqual(['http://10.0.0.1:8080']);
    }
  });

  it.each(['ESERVFAIL', 'ETIMEOUT', 'ECONNREFUSED', 'EREFUSED'])('tells %s as an error', async (code) => {
    const { zone, start, told } = watch({});
    zone.records['A payments.prod'] = code;
    await start();
    expect(told).toMatchObject([{ error: { code } }]);
  });

  it('does not take half an answer for nobody', async () => {
    const { zone, start, told } = watch({});
    zone.records['AAAA payments.prod'] = 'ESERVFAIL';
    await start();
    expect(told).toMatchObject([{ error: { code: 'ESERVFAIL' } }]);
  });

  it('backs off after failures, with jitter, within limits, and recovers', async () => {
    const { zone, start, clock, times, origins } = watch({ maxRefreshMs: 8_000 });
    zone.records['A payments.prod'] = 'ESERVFAIL';
    await start();
    await clock.advance(600_000);
    const gaps = times.slice(1).map((time, i) => time - (times[i] as number));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(100);
    expect(gaps[0]).toBeLessThanOrEqual(1_000);
    expect(gaps[1]).toBeLessThanOrEqual(2_000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(8_000);
    expect(Math.max(...gaps)).toBeGreaterThan(6_000);
    zone.records['A payments.prod'] = [address('10.0.0.1')];
    await clock.advance(8_000);
    expect(origins()).toEqual(['http://10.0.0.1:8080']);
  });

  it('notices within ten seconds that a server is back, however long answers may be believed', async () => {
    const { zone, start, clock, origins } = watch({});
    zone.records['A payments.prod'] = 'ETIMEOUT';
    await start();
    await clock.advance(600_000);
    zone.records['A payments.prod'] = [address('10.0.0.1')];
    await clock.advance(10_000);
    expect(origins()).toEqual(['http://10.0.0.1:8080']);
  });

  it('begins its backoff anew after an answer', async () => {
    const { zone, start, clock, times } = watch({});
    zone.records['A payments.prod'] = 'ESERVFAIL';
    await start();
    await clock.advance(300_000);
    zone.records['A payments.prod'] = [address('10.0.0.1', 60)];
    await clock.advance(60_000);
    zone.records['A payments.prod'] = 'ESERVFAIL';
    const before = times.length;
    await clock.advance(66_000 + 1_000);
    expect((times[before + 1] as number) - (times[before] as number)).toBeLessThanOrEqual(1_000);
  });

  it('never has two questions for a name under way', async () => {
    const { zone, start, clock, scope } = watch({});
    let open: () => void = () => {};
    zone.gate = new Promise((resolve) => {
      open = resolve;
    });
    zone.records['A payments.prod'] = [address('10.0.0.1', 1)];
    await start();
    await clock.advance(120_000);
    expect(zone.asked).toHaveLength(1);
    open();
    zone.gate = null;
    await clock.advance(60_000);
    expect([zone.most, zone.asked.length > 10]).toEqual([1, true]);
    scope.cancel();
  });

  it('stops: gives up its question, hears no late answer, leaves nothing behind', async () => {
    const { zone, start, clock, scope, told } = watch({});
    let open: () => void = () => {};
    zone.records['A payments.prod'] = [address('10.0.0.1')];
    await start();
    zone.gate = new Promise((resolve) => {
      open = resolve;
    });
    await clock.advance(6_000);
    expect(zone.under).toBe(1);
    scope.cancel();
    open();
    await clock.advance(60_000);
    expect([told.length, zone.canceled, zone.asked.length]).toEqual([1, 1, 2]);
    checkLeaks({ clock, scopes: [scope] });
  });

  it('waits in the background: an idle process may end', async () => {
    const { zone, start, clock } = watch({});
    zone.records['A payments.prod'] = [address('10.0.0.1')];
    await start();
    expect([clock.pending, clock.pendingForeground]).toEqual([1, 0]);
  });

  it.each([
    ['127.0.0.1', 'http://127.0.0.1:8080'],
    ['::1', 'http://[::1]:8080'],
    ['[::1]', 'http://[::1]:8080'],
    ['localhost', 'http://localhost:8080'],
    ['app.localhost.', 'http://app.localhost:8080'],
  ])('does not ask for %s', async (host, origin) => {
    const { start, zone, origins, clock } = watch({ host });
    await start();
    expect(origins()).toEqual([origin]);
    expect([zone.asked, clock.pending]).toEqual([[], 0]);
  });

  it('asks for a name without the dot at its end', async () => {
    const { zone, start, origins } = watch({ host: 'payments.prod.', protocol: 'https', port: null });
    zone.records['A payments.prod'] = [address('10.0.0.1')];
    await start();
    expect(origins()).toEqual(['https://10.0.0.1']);
  });

  it('refuses options that are wrong, all at once', () => {
    expect(() => dns({ host: '', port: 0, type: 'mx' as 'a', family: 5 as 4 })).toThrow(/4 problems/);
    expect(() => dns({} as never)).toThrow(/dns\.host/);
    expect(() => dns({ host: 'a', protocl: 'b' } as never)).toThrow(/did you mean protocol\?/);
    expect(() => dns({ host: 'a', servers: ['nowhere'] })).toThrow(
      /dns\.servers = \["nowhere"\]: expected IP addresses/,
    );
    expect(Object.isFrozen(dnsDefaults)).toBe(true);
  });

  it('takes an option that is undefined for one that is not given', async () => {
    const undefinedOnes = { protocol: undefined, maxRefreshMs: undefined } as Partial<DnsOptions>;
    const { zone, start, origins, clock } = watch(undefinedOnes);
    zone.records['A payments.prod'] = [address('10.0.0.1', 3_600)];
    await start();
    expect(origins()).toEqual(['http://10.0.0.1:8080']);
    await clock.advance(70_000);
    expect(zone.asked).toHaveLength(2);
  });
});

describe('dns with SRV records', () => {
  const record = (name: string, port: number, priority = 10, weight = 1): DnsService => ({
    name,
    port,
    priority,
    weight,
  });

  it('takes port, priority and weight from the records, and looks up each target once', async () => {
    const { zone, start, last, resolver } = watch({ type: 'srv', port: null });
    zone.records['SRV payments.prod'] = [
      record('a.prod', 81, 10, 60),
      record('a.prod', 82, 10, 40),
      record('b.prod.', 83, 20, 5),
    ];
    zone.records['A a.prod'] = [address('10.0.0.1')];
    zone.records['A b.prod'] = [address('10.0.0.2'), address('10.0.0.3')];
    await start();
    expect(last().map(({ origin, priority, weight }) => [origin, priority, weight])).toEqual([
      ['http://10.0.0.1:81', 10, 60],
      ['http://10.0.0.1:82', 10, 40],
      ['http://10.0.0.2:83', 20, 5],
      ['http://10.0.0.3:83', 20, 5],
    ]);
    expect(last()[2]?.attributes).toEqual({ serverName: 'b.prod' });
    expect(zone.asked).toEqual(['SRV payments.prod', 'A a.prod', 'A b.prod']);
    expect(resolver.name).toBe('dns+srv://payments.prod');
  });

  it('gives weight 0 next to nothing beside others, and an equal share among its like', async () => {
    const { zone, start, last } = watch({ type: 'srv' });
    zone.records['SRV payments.prod'] = [
      record('10.0.0.1', 81, 1, 0),
      record('10.0.0.2', 81, 1, 50),
      record('fd00::3', 81, 2, 0),
    ];
    await start();
    expect(last().map(({ weight }) => weight)).toEqual([0.01, 50, 1]);
    expect(last()[2]?.origin).toBe('http://[fd00::3]:81');
  });

  it.each([
    ['.', [record('.', 0)]],
    ['an empty target', [record('', 0)]],
    ['no record', []],
    ['targets without addresses', [record('gone.prod', 80)]],
  ])('takes %s for nobody', async (_, records) => {
    const { zone, start, told } = watch({ type: 'srv' });
    zone.records['SRV payments.prod'] = records;
    await start();
    expect(told).toEqual([{ endpoints: [] }]);
  });

  it('does not lose an endpoint because the look-up of its target failed', async () => {
    const { zone, start, told } = watch({ type: 'srv' });
    zone.records['SRV payments.prod'] = [record('a.prod', 81), record('b.prod', 82)];
    zone.records['A a.prod'] = [address('10.0.0.1')];
    zone.records['A b.prod'] = 'ESERVFAIL';
    await start();
    expect(told).toMatchObject([{ error: { code: 'ESERVFAIL' } }]);
  });

  it('asks again after its own time, or when the addresses expire before', async () => {
    for (const [ttl, least, most] of [
      [300, 9_000, 11_000],
      [2, 1_800, 2_200],
    ] as const) {
      const { zone, start, clock, told } = watch({ type: 'srv' });
      zone.records['SRV payments.prod'] = [record('a.prod', 81)];
      zone.records['A a.prod'] = [address('10.0.0.1', ttl)];
      await start();
      await clock.advance(least - 1);
      expect(told).toHaveLength(1);
      await clock.advance(most - least + 1);
      expect(told).toHaveLength(2);
    }
  });
});
