/** Catches a body whose pieces change places, get lost or come twice when sink and source act from within each other. */
import type { BodySink } from '@fairlead/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BodyFlow, noHeaders } from './body-flow.js';

/** A source that is told by the test what to do, and does it at once. */
class Source extends BodyFlow {
  more = 0;
  less = 0;
  fire(): void {}
  cancel(reason?: unknown): void {
    this.drop();
    this.breakOff(reason);
  }
  send(text: string): void {
    this.push(Buffer.from(text));
  }
  over(error: unknown): void {
    this.finish(error, noHeaders);
  }
  protected taken(): void {}
  protected wantMore(): void {
    this.more++;
  }
  protected wantLess(): void {
    this.less++;
  }
}

function recorder(onData: (text: string) => void = () => {}): BodySink & { seen: string[] } {
  const seen: string[] = [];
  return {
    seen,
    onData: (chunk) => {
      seen.push(Buffer.from(chunk).toString());
      onData(Buffer.from(chunk).toString());
    },
    onEnd: () => void seen.push('end'),
    onError: () => void seen.push('error'),
  };
}

describe('BodyFlow', () => {
  it('keeps the order of what arrives while it delivers', () => {
    const source = new Source();
    source.send('a');
    source.send('b');
    const sink = recorder((text) => {
      if (text === 'a') source.send('c');
      if (text === 'b') source.over(null);
    });
    source.attach(sink);
    expect(sink.seen).toEqual(['a', 'b', 'c', 'end']);
  });

  it('delivers everything once and in order, however it is paused, resumed and fed', () => {
    const step = fc.constantFrom('send', 'pause', 'resume', 'attach', 'nothing');
    fc.assert(
      fc.property(fc.array(step), fc.array(step), fc.boolean(), (outside, inside, fails) => {
        const source = new Source();
        let sent = 0;
        let left = inside.length;
        let attached = false;
        const act = (what: string): void => {
          if (what === 'send') source.send(String(sent++));
          else if (what === 'pause') source.pause();
          else if (what === 'resume') source.resume();
          else if (what === 'attach' && !attached) {
            attached = true;
            source.attach(sink);
          }
        };
        const sink = recorder(() => {
          if (left > 0) act(inside[--left] as string);
        });
        for (const what of outside) act(what);
        act('attach');
        source.over(fails ? new Error('x') : null);
        for (let i = 0; i <= sent + inside.length; i++) source.resume();
        expect(sink.seen).toEqual([...Array.from({ length: sent }, (_, i) => String(i)), fails ? 'error' : 'end']);
      }),
    );
  });

  it('says nothing more to a sink that has been told the end', () => {
    const source = new Source();
    const sink = recorder();
    source.attach(sink);
    source.cancel('why');
    source.send('a');
    source.over(null);
    source.cancel('again');
    expect(sink.seen).toEqual(['error']);
  });

  it('tells any number of listeners, early and late', () => {
    const source = new Source();
    const told: unknown[] = [];
    for (let i = 0; i < 3; i++) source.onEnd((error) => told.push([i, error]));
    source.over(null);
    source.onEnd((error) => told.push([3, error]));
    expect(told).toEqual([0, 1, 2, 3].map((i) => [i, null]));
  });
});
