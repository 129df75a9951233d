/**
 * Would catch: a body that is pushed at a paused sink, ends twice or never, outlives the scope of its call, or leaves a
 * timer behind.
 */
import { type BodySink, CanceledError, type Reply, readBytes, TimeoutError } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { callTo } from './call-to.js';
import { checkLeaks } from './leaks.js';
import { scripted } from './scripted.js';
import { reply } from './steps.js';
import { VirtualClock } from './virtual-clock.js';

class Log implements BodySink {
  readonly got: string[] = [];
  onData(chunk: Uint8Array): void {
    this.got.push(new TextDecoder().decode(chunk));
  }
  onEnd(): void {
    this.got.push('end');
  }
  onError(error: unknown): void {
    this.got.push(`error ${(error as Error).name}`);
  }
}

function ends(reply: Reply): unknown[] {
  const seen: unknown[] = [];
  reply.onEnd((error) => seen.push(error));
  return seen;
}

describe('the body of a reply', () => {
  it('arrives piece by piece', async () => {
    const clock = new VirtualClock();
    const backend = scripted(reply(200, { body: ['a', '', 'b'], betweenMs: 10 }));
    const call = callTo('s', { clock });
    const got = await backend(call);
    const [over, log] = [ends(got), new Log()];
    got.body.attach(log);
    await clock.advance(10);
    expect([log.got, over, backend.open]).toEqual([['a'], [], 1]);
    await clock.advance(10);
    expect([log.got, over, backend.open]).toEqual([['a', 'b', 'end'], [null], 0]);
    expect(ends(got)).toEqual([null]);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('delivers what has arrived before attach returns', async () => {
    const clock = new VirtualClock();
    const got = await scripted(reply(200, { body: ['a', 'b', 'c'], betweenMs: 10 }))(callTo('s', { clock }));
    await clock.advance(25);
    const log = new Log();
    got.body.attach(log);
    expect(log.got).toEqual(['a', 'b']);
  });

  it('holds back while the sink pauses, and goes on where it was', async () => {
    const got = await scripted(reply(200, { body: ['a', 'b'] }))(callTo());
    const over = ends(got);
    class Slow extends Log {
      override onData(chunk: Uint8Array): void {
        super.onData(chunk);
        got.body.pause();
      }
    }
    const log = new Slow();
    got.body.attach(log);
    expect(log.got).toEqual(['a']);
    got.body.resume();
    expect([log.got, over]).toEqual([['a', 'b'], []]);
    got.body.resume();
    expect([log.got, over]).toEqual([['a', 'b', 'end'], [null]]);
  });

  it('may be canceled from inside onData', async () => {
    const backend = scripted(reply(200, { body: ['a', 'b'] }));
    const got = await backend(callTo());
    const over = ends(got);
    class Enough extends Log {
      override onData(chunk: Uint8Array): void {
        super.onData(chunk);
        got.body.cancel();
      }
    }
    const log = new Enough();
    got.body.attach(log);
    got.body.cancel();
    expect(log.got).toEqual(['a', 'error CanceledError']);
    expect(over).toEqual([expect.any(CanceledError)]);
    expect(backend.open).toBe(0);
  });

  it('may be cut in the middle', async () => {
    const clock = new VirtualClock();
    const backend = scripted(reply(200, { body: ['a', 'b'], betweenMs: 10, cutAfter: 1 }));
    const got = await backend(callTo('s', { clock }));
    await expect(clock.run(readBytes(got))).rejects.toMatchObject({ phase: 'body', sent: 'maybe' });
    expect(clock.now()).toBe(20);
    checkLeaks({ clock, backend });
  });

  it('may stall in the middle', async () => {
    const clock = new VirtualClock();
    const backend = scripted(reply(200, { body: ['a', 'b'], betweenMs: 10, stallAfter: 1 }));
    const log = new Log();
    const got = await backend(callTo('s', { clock }));
    got.body.attach(log);
    await clock.advance(1_000);
    expect([log.got, backend.open]).toEqual([['a'], 1]);
    got.body.cancel(new RangeError());
    expect(log.got).toEqual(['a', 'error RangeError']);
    checkLeaks({ clock, backend });
  });

  it('is over at once if there is none', async () => {
    const backend = scripted(reply(204, { betweenMs: 10 }));
    const got = await backend(callTo());
    expect([ends(got), backend.open]).toEqual([[null], 0]);
    expect((await readBytes(got)).length).toBe(0);
  });

  it('flows to one sink only', async () => {
    const got = await scripted(reply(200, { body: 'a' }))(callTo());
    got.body.attach(new Log());
    expect(() => got.body.attach(new Log())).toThrow('to one sink');
  });

  it('ends with the scope while it flows', async () => {
    const clock = new VirtualClock();
    const backend = scripted(reply(200, { body: ['a', 'b', 'c'], betweenMs: 10 }));
    const call = callTo('s', { clock });
    call.scope.expireAt(25, 'call', 25);
    const got = await backend(call);
    const [over, log] = [ends(got), new Log()];
    got.body.attach(log);
    await clock.advance(100);
    expect(log.got).toEqual(['a', 'b', 'error TimeoutError']);
    expect(over).toEqual([expect.any(TimeoutError)]);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('ends with the scope before anybody has asked for it', async () => {
    const backend = scripted(reply(200, { body: 'a' }));
    const call = callTo();
    const got = await backend(call);
    expect(backend.open).toBe(1);
    call.scope.cancel();
    await expect(readBytes(got)).rejects.toThrow(CanceledError);
    checkLeaks({ backend, scopes: [call.scope] });
  });
});
