// Would catch: a reply that breaks in the middle and is not asked for again, one that is held back for good, asked for twice
// without being idempotent, or left open; a timer or promise for a reply that is there already.
import {
  type BodySink,
  CanceledError,
  compose,
  type EndListener,
  type Handler,
  type Reply,
  type ReplyBody,
  readText,
  TransportError,
  tellEnd,
} from '@fairlead/core';
import { callTo, recordEvents, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { deadline } from '../time/deadline.js';
import { type RetryOptions, retry } from './retry.js';

/** A reply that gathers by itself what arrives, as that of the transport does; a test says when. */
class Gathering implements Reply, ReplyBody {
  status = 200;
  readonly headers: Record<string, string>;
  readonly endpoint = null;
  readonly at = 0;
  complete = false;
  canceled = false;
  #over = false;
  #error: unknown = null;
  #sink: BodySink | null = null;
  readonly listeners: EndListener[] = [];
  constructor(length: string | null = '2') {
    this.headers = length === null ? {} : { 'content-length': length };
  }
  get body(): this {
    return this;
  }
  attach(sink: BodySink): void {
    this.#sink = sink;
    if (this.#over) this.#tell();
  }
  pause(): void {}
  resume(): void {}
  cancel(): void {
    this.canceled = true;
    this.end(new CanceledError());
  }
  onEnd(listener: EndListener): void {
    if (this.#over) tellEnd(listener, this.#error);
    else this.listeners.push(listener);
  }
  end(error: unknown = null): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    this.complete = error === null;
    for (const each of this.listeners.splice(0)) tellEnd(each, error);
    if (this.#sink !== null) this.#tell();
  }
  #tell(): void {
    if (this.#error !== null) this.#sink?.onError(this.#error);
    else {
      this.#sink?.onData(new TextEncoder().encode('ok'));
      this.#sink?.onEnd({});
    }
  }
}

const broken = () => new TransportError({ phase: 'body', sent: 'maybe', service: 'payments', message: 'ECONNRESET' });

function rig(replies: Gathering[], options: Partial<RetryOptions> = {}, init: Parameters<typeof callTo>[1] = {}) {
  const clock = new VirtualClock();
  const call = callTo('payments', { ...init, clock });
  const events = recordEvents(call.runtime);
  let sends = 0;
  const end: Handler = async (each) => {
    const got = replies[Math.min(sends++, replies.length - 1)] as Gathering;
    each.scope.watch({ onCancel: (reason) => got.end(reason) });
    return got;
  };
  let settled: unknown = null;
  const go = () => {
    const going = compose([deadline({ ms: 5_000 }), retry({ baseMs: 0, ...options })], end)(call);
    going.then(
      (reply) => (settled = reply),
      (error) => (settled = error),
    );
    return going;
  };
  return { clock, call, events, go, settled: () => settled, sends: () => sends };
}

describe('a small reply to an idempotent call', () => {
  it('that has arrived already is handed over without ado', async () => {
    const there = new Gathering();
    there.end();
    const { go, clock } = rig([there]);
    expect(await go()).toBe(there);
    expect(clock.pending).toBe(1); // the deadline
  });

  it('is awaited whole', async () => {
    const slow = new Gathering();
    const { go, clock, settled, call } = rig([slow]);
    const going = go();
    await clock.advance(900);
    expect(settled()).toBeNull();
    slow.end();
    expect(await readText(await going)).toBe('ok');
    call.scope.close();
    expect([clock.pending, slow.listeners.length]).toEqual([0, 0]);
  });

  it('is asked for again if the connection breaks in the middle of it', async () => {
    const [first, second, third] = [new Gathering(), new Gathering(), new Gathering()];
    const { go, clock, events, sends } = rig([first, second, third]);
    const going = go();
    await clock.advance(1);
    first.end(broken());
    await clock.advance(1);
    second.end(broken());
    await clock.advance(1);
    third.end();
    expect(await clock.run(going)).toBe(third);
    expect(sends()).toBe(3);
    expect(events.flatMap((event) => (event.type === 'retry.scheduled' ? [event.reason] : []))).toEqual([
      'ERR_TRANSPORT',
      'ERR_TRANSPORT',
    ]);
  });

  it('is asked for again also if it broke before anybody looked', async () => {
    const [first, second] = [new Gathering(), new Gathering()];
    first.end(broken());
    second.end();
    const { go, clock } = rig([first, second]);
    expect(await clock.run(go())).toBe(second);
  });

  it('is handed over broken if all of them break, with all attempts on the error of its body', async () => {
    const replies = [new Gathering(), new Gathering()];
    for (const each of replies) each.end(broken());
    const { go, clock, call } = rig(replies, { attempts: 2 });
    const got = await clock.run(go());
    expect(got).toBe(replies[1]);
    await expect(readText(got)).rejects.toMatchObject({
      phase: 'body',
      message: expect.stringContaining('(attempt 2 of 2)'),
      attempts: [{ attempt: 1, error: { phase: 'body' } }],
    });
    call.scope.close();
    expect(clock.pending).toBe(0);
  });

  it('is given up with the error of a later attempt, if that got no reply at all', async () => {
    const first = new Gathering();
    first.end(broken());
    const clock = new VirtualClock();
    const handler = compose([retry({ attempts: 2 })], async (call) => {
      if (call.attempt > 1) throw new TransportError({ phase: 'wait', sent: 'maybe' });
      return first;
    });
    await expect(clock.run(handler(callTo('payments', { clock })))).rejects.toMatchObject({ phase: 'wait' });
  });

  it('is handed over unfinished after a second: what trickles in may be wanted', async () => {
    const slow = new Gathering();
    const { go, clock, settled, call } = rig([slow]);
    void go();
    await clock.advance(999);
    expect(settled()).toBeNull();
    await clock.advance(1);
    expect(settled()).toBe(slow);
    slow.end(broken());
    call.scope.close();
    expect(clock.pending).toBe(0);
  });

  it('breaks with its caller, and with its deadline', async () => {
    for (const why of ['caller', 'deadline']) {
      const { go, clock, call, sends } = rig([new Gathering()]);
      if (why === 'deadline') call.scope.expireAt(500, 'call', 500);
      const going = go();
      going.catch(() => {});
      await clock.advance(400);
      if (why === 'caller') call.scope.cancel(new CanceledError());
      else await clock.advance(100);
      const code = why === 'caller' ? 'ERR_CANCELED' : 'ERR_TIMEOUT';
      await expect(readText(await going)).rejects.toMatchObject({ code });
      expect([sends(), clock.pending]).toEqual([1, 0]);
    }
  });

  it('does no harm by the ten thousand, half of which break', async () => {
    const clock = new VirtualClock();
    const out: Gathering[] = [];
    const end: Handler = async (call) => {
      const got = new Gathering();
      if (call.attempt > 1) got.end();
      else out.push(got);
      return got;
    };
    const handler = compose([retry({ budget: null })], end);
    const going = Array.from({ length: 10_000 }, () => handler(callTo('payments', { clock })));
    await clock.advance(0);
    expect([out.length, clock.pending]).toEqual([10_000, 10_000]);
    out.forEach((each, i) => {
      each.end(i % 2 === 0 ? broken() : null);
    });
    const replies = await clock.run(Promise.all(going));
    expect(replies.every((each) => each.body.complete)).toBe(true);
    expect(clock.pending).toBe(0);
  });
});

describe('is handed over at once', () => {
  it.each([
    ['a reply to a call that is not idempotent', '2', {}, { method: 'POST' }],
    ['one that does not say how long it is', null, {}, {}],
    ['one that says it badly', 'two', {}, {}],
    ['one that is too long', '65537', {}, {}],
    ['one above a lower bound', '101', { wholeReplyBytes: 100 }, {}],
    ['any, if none is awaited', '2', { wholeReplyBytes: 0 }, {}],
    ['any, in shadow', '2', { mode: 'shadow' }, {}],
    ['any, without retries', '2', { attempts: 1 }, {}],
  ] as const)('%s', async (_, length, options, init) => {
    const slow = new Gathering(length);
    const { go, clock, settled } = rig([slow], options, init);
    void go();
    await clock.advance(0);
    expect(settled()).toBe(slow);
  });

  it('but not one that is just short enough', async () => {
    const { go, clock, settled } = rig([new Gathering('65536')]);
    go().catch(() => {});
    await clock.advance(0);
    expect(settled()).toBeNull();
  });

  it('a reply whose body begins only when it is attached', async () => {
    const lazy = new Gathering();
    Object.defineProperty(lazy, 'complete', { value: undefined });
    const { go, clock, settled } = rig([lazy]);
    void go();
    await clock.advance(0);
    expect(settled()).toBe(lazy);
  });
});
