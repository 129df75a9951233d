/**
 * Would catch: a certificate that was replaced and goes on being used; a connection on which the server fell silent and
 * that every further watch is put on; a connection that is cut although somebody uses it, or left open at the end.
 */
import { type Call, createCall, createEndpoint, discard, Scope } from '@fairlead/core';
import { hang, reply, type Script, type ScriptedBackend, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { type Access, type AccessTls, connectTo } from '../index.js';

const server = createEndpoint('https://api');
const plain: Access = { server, ca: 'ca', namespace: null, token: () => null };

interface Opened {
  readonly tls: AccessTls;
  readonly backend: ScriptedBackend;
  readonly closed: (number | undefined)[];
}

function world(access: Access, script: Script = reply(200, { body: 'x', stallAfter: 1 })) {
  const clock = new VirtualClock();
  const opened: Opened[] = [];
  const connection = connectTo(access, (tls) => {
    const own = { tls, backend: scripted(script), closed: [] as (number | undefined)[] };
    opened.push(own);
    return { handler: own.backend, close: async (graceMs) => void own.closed.push(graceMs) };
  });
  const call = (withinMs = 1_000): Call => {
    const scope = new Scope(clock);
    scope.expireAt(clock.now() + withinMs, 'attempt', withinMs);
    return createCall({ service: 'kubernetes', runtime: { clock }, scope }).with({ endpoint: server });
  };
  return { clock, opened, connection, call };
}

describe('connectTo', () => {
  it('opens nothing before the first request, and one connection for all with the same settings', async () => {
    const { opened, connection, call } = world(plain);
    expect(opened).toEqual([]);
    await connection.handler(call());
    await connection.handler(call());
    expect(opened.map(({ tls }) => tls)).toEqual([{ ca: 'ca' }]);
    await connection.close(0);
    expect(opened[0]?.closed).toEqual([0]);
    await expect(connection.handler(call())).rejects.toMatchObject({ code: 'ERR_TRANSPORT', phase: 'closed' });
    expect(opened).toHaveLength(1);
  });

  it.each([
    { ca: 'new' },
    { ca: 'ca', cert: 'c', key: 'k' },
    { ca: 'ca', servername: 's' },
    { ca: 'ca', rejectUnauthorized: false },
  ])('opens another when the settings become %j; the one before finishes what it has', async (next) => {
    let tls: AccessTls = { ca: 'ca' };
    const { opened, connection, call } = world({ ...plain, tls: async () => ({ ...tls }) });
    await connection.handler(call());
    tls = next;
    await connection.handler(call());
    await connection.handler(call());
    expect(opened.map((each) => each.tls)).toEqual([{ ca: 'ca' }, next]);
    expect(opened.map(({ closed }) => closed)).toEqual([[Number.POSITIVE_INFINITY], []]);
  });

  it('opens another after a silence: no head in time, or a body that stalls', async () => {
    let n = 0;
    const { clock, opened, connection, call } = world(plain, () =>
      n++ === 0 ? hang() : reply(200, { body: 'x', stallAfter: 1 }),
    );
    const silent = connection.handler(call()).catch((error) => error.code);
    await clock.advance(1_000);
    expect(await silent).toBe('ERR_TIMEOUT');
    const reply2 = await connection.handler(call());
    reply2.body.attach({ onData() {}, onEnd() {}, onError() {} });
    expect(opened).toHaveLength(2);
    await clock.advance(1_000);
    await connection.handler(call());
    expect(opened).toHaveLength(3);
  });

  it('opens one more, and not one for each request that heard nothing', async () => {
    const { clock, opened, connection, call } = world(plain, () => hang());
    const silent = [connection.handler(call()), connection.handler(call(1_500))].map((each) => each.catch(() => {}));
    await clock.advance(1_200);
    const next = connection.handler(call(10_000)).catch(() => {});
    await clock.advance(1_000);
    await Promise.all(silent);
    const after = connection.handler(call()).catch(() => {});
    expect(opened).toHaveLength(2);
    await clock.advance(20_000);
    await Promise.all([next, after]);
  });

  it('keeps it when a request ends in any other way', async () => {
    const { opened, connection, call } = world(plain);
    const canceled = call();
    const answer = await connection.handler(canceled);
    discard(answer);
    canceled.scope.cancel();
    await connection.handler(call());
    expect(opened).toHaveLength(1);
  });

  it('fails the request, and no other, if the settings cannot be had', async () => {
    let broken = true;
    const tls = (): AccessTls => {
      if (broken) throw new Error('no certificate');
      return {};
    };
    const { opened, connection, call } = world({ ...plain, tls });
    await expect(connection.handler(call())).rejects.toThrow('no certificate');
    broken = false;
    await connection.handler(call());
    expect(opened).toHaveLength(1);
    await connection.close();
  });

  it('does not wait for settings that never come', async () => {
    const { clock, connection, call } = world({ ...plain, tls: () => new Promise(() => {}) });
    const waiting = connection.handler(call()).catch((error) => error.code);
    await clock.advance(1_000);
    expect(await waiting).toBe('ERR_TIMEOUT');
  });
});
