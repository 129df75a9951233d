/**
 * Would catch work that is begun for a caller who has given up, a deadline that is read wrongly, and a caller that can
 * hold a request for longer than the server allows.
 */
import { type Call, type Middleware, TimeoutError } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { adapters, ask, gateway, start, stopServers } from '../../tests/harness.js';
import { callOf, createGuard, readTimeoutMs } from '../index.js';

afterEach(stopServers);

describe('readTimeoutMs', () => {
  const none = Number.POSITIVE_INFINITY;
  it.each([
    [[], none],
    [['x-request-timeout-ms', '250'], 250],
    [['x-request-timeout-ms', '0'], 0],
    [['x-request-timeout-ms', '-5'], -5],
    [['x-request-timeout-ms', '1.5'], none],
    [['x-request-timeout-ms', '1e3'], none],
    [['x-request-timeout-ms', '0x10'], none],
    [['x-request-timeout-ms', ''], none],
    [['x-request-timeout-ms', ' 5'], none],
    [['x-request-timeout-ms', '250ms'], none],
    [['x-request-timeout-ms', '9'.repeat(400)], none],
    [['x-envoy-expected-rq-timeout-ms', '300'], 300],
    [['grpc-timeout', '2H'], 7_200_000],
    [['grpc-timeout', '3M'], 180_000],
    [['grpc-timeout', '4S'], 4_000],
    [['grpc-timeout', '250m'], 250],
    [['grpc-timeout', '500u'], 0.5],
    [['grpc-timeout', '5000000n'], 5],
    [['grpc-timeout', '99999999H'], 99_999_999 * 3_600_000],
    [['grpc-timeout', '999999999n'], none],
    [['grpc-timeout', '-1S'], none],
    [['grpc-timeout', '1s'], none],
    [['grpc-timeout', 'S'], none],
    [['x-request-timeout-ms', '250', 'grpc-timeout', '1S', 'x-envoy-expected-rq-timeout-ms', '900'], 250],
    [['x-request-timeout-ms', 'soon', 'grpc-timeout', '1S'], 1_000],
    [['x-request-timeout-ms', '900', 'x-request-timeout-ms', '100'], 100],
    [['grpc-encoding', '1S', 'x-request-timeout-xx', '1'], none],
  ] as const)('%j is %d ms', (headers, ms) => {
    expect(readTimeoutMs(headers)).toBe(ms);
  });
});

describe.each(adapters)('deadlines under %s', (adapter) => {
  async function deadlineOf(headers: Record<string, string>, maxTimeoutMs: number | null = null) {
    const clock = new VirtualClock({ startMs: 1_000 });
    const guard = createGuard({ runtime: { clock }, maxTimeoutMs });
    let call: Call | undefined;
    const { port } = await start(adapter, guard, (req, res) => {
      call = callOf(req);
      res.end();
    });
    await ask(port, { headers });
    expect(clock.pending).toBe(0);
    return call?.scope.deadlineAt;
  }

  it('takes what the caller leaves, but no more than the server allows', async () => {
    expect(await deadlineOf({})).toBe(Number.POSITIVE_INFINITY);
    expect(await deadlineOf({ 'x-request-timeout-ms': '250' })).toBe(1_250);
    expect(await deadlineOf({ 'X-Request-Timeout-Ms': '250', 'grpc-timeout': '100m' }, 5_000)).toBe(1_100);
    expect(await deadlineOf({ 'x-request-timeout-ms': '999999' }, 5_000)).toBe(6_000);
    expect(await deadlineOf({}, 5_000)).toBe(6_000);
    expect(await deadlineOf({ 'x-request-timeout-ms': 'soon' })).toBe(Number.POSITIVE_INFINITY);
  });

  it.each(['0', '-1'])('answers 504 without running the handler when %s ms are left', async (left) => {
    const clock = new VirtualClock({ startMs: 1_000 });
    const events: unknown[] = [];
    const guard = createGuard({ service: 'shop', runtime: { clock, on: (event) => events.push(event) } });
    let ran = false;
    const { port } = await start(adapter, guard, () => {
      ran = true;
    });
    const answer = await ask(port, { method: 'POST', headers: { 'x-request-timeout-ms': left }, body: 'x' });
    expect(answer.status).toBe(504);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.headers['x-fairlead-nack']).toBeUndefined();
    expect(JSON.parse(answer.body)).toEqual({ title: 'Deadline exceeded', status: 504 });
    expect(ran).toBe(false);
    expect(events).toEqual([{ type: 'deadline.exceeded', service: 'shop', lateMs: Math.abs(Number(left)) }]);
    expect(clock.pending).toBe(0);
  });

  it('notices a deadline that passed while the event loop was blocked', async () => {
    let blockedMs = 0;
    class BlockedClock extends VirtualClock {
      override now(): number {
        return super.now() + blockedMs;
      }
    }
    const clock = new BlockedClock();
    const layers: Middleware[] = [
      async (call, next) => {
        await null;
        blockedMs = 60;
        return next(call);
      },
    ];
    let ran = false;
    const { port } = await start(adapter, createGuard({ runtime: { clock }, layers }), () => {
      ran = true;
    });
    expect((await ask(port, { headers: { 'x-request-timeout-ms': '50' } })).status).toBe(504);
    expect(ran).toBe(false);
  });

  it('cancels the scope of a running handler, and leaves the answer to it', async () => {
    const clock = new VirtualClock();
    const started = gateway<Call>();
    const canceled = gateway();
    const { port } = await start(adapter, createGuard({ runtime: { clock } }), async (req, res) => {
      const call = callOf(req) as Call;
      started.open(call);
      call.scope.watch({ onCancel: () => canceled.open() });
      await canceled.opened;
      res.end('partial result');
    });
    const answer = ask(port, { headers: { 'grpc-timeout': '50m' } });
    const call = await started.opened;
    await clock.advance(49);
    expect(call.scope.canceled).toBe(false);
    await clock.advance(1);
    expect(call.scope.reason).toBeInstanceOf(TimeoutError);
    expect(await answer).toMatchObject({ status: 200, body: 'partial result' });
    expect(clock.pending).toBe(0);
  });
});
