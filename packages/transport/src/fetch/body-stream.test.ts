/** Catches streams that take memory which somebody else still uses, and those that copy what nobody does. */
import { describe, expect, it } from 'vitest';
import { BodyFlow, heldBytes, noHeaders } from '../body-flow.js';
import { bodyStream } from './body-stream.js';

class Source extends BodyFlow {
  pauses = 0;
  constructor(readonly gives: boolean) {
    super();
  }
  override get givesAway(): boolean {
    return this.gives;
  }
  override push(chunk: Uint8Array): void {
    super.push(chunk);
  }
  override finish(error: unknown): void {
    super.finish(error, noHeaders);
  }
  cancel(): void {}
  fire(): void {}
  taken(): void {}
  wantMore(): void {}
  wantLess(): void {
    this.pauses++;
  }
}

const context = { explain: (error: unknown) => error };
const isTaken = (chunk: Uint8Array): boolean => (chunk.buffer as ArrayBuffer).detached;

async function passed(chunk: Uint8Array, gives = true): Promise<{ taken: boolean; text: string }> {
  const source = new Source(gives);
  const reader = bodyStream(source, context).getReader();
  const reading = reader.read();
  source.push(chunk);
  const { value } = await reading;
  expect(value?.constructor).toBe(Uint8Array);
  // Its own memory and nothing else in it, as with fetch.
  expect(value?.buffer.byteLength).toBe(value?.length);
  source.finish(null);
  expect(await reader.read()).toEqual({ done: true, value: undefined });
  return { taken: isTaken(chunk), text: Buffer.from(value as Uint8Array).toString() };
}

describe('memory of a chunk', () => {
  it('is taken if the chunk fills it', async () => {
    const whole = new Uint8Array(Buffer.from('abc')).slice();
    expect(await passed(Buffer.from(whole.buffer))).toEqual({ taken: true, text: 'abc' });
  });

  it('is left alone if there is more in it', async () => {
    const memory = new TextEncoder().encode('xabcx').slice();
    expect(await passed(memory.subarray(1, 4))).toEqual({ taken: false, text: 'abc' });
    expect(await passed(memory.subarray(0, 4))).toEqual({ taken: false, text: 'xabc' });
  });

  it('is left alone if it is not given away', async () => {
    expect(await passed(new TextEncoder().encode('abc').slice(), false)).toEqual({ taken: false, text: 'abc' });
  });

  it('is left alone when the connection is told to pause, which then looks at what it read', async () => {
    const source = new Source(true);
    const reader = bodyStream(source, context).getReader();
    source.push(new Uint8Array(8));
    expect((await reader.read()).value?.length).toBe(8);
    const [fits, tooMuch] = [new Uint8Array(heldBytes), new Uint8Array(1)];
    source.push(fits);
    expect([isTaken(fits), source.pauses]).toEqual([true, 0]);
    source.push(tooMuch);
    expect([isTaken(tooMuch), source.pauses]).toEqual([false, 1]);
    source.finish(null);
    expect((await reader.read()).value?.length).toBe(heldBytes);
    expect((await reader.read()).value?.length).toBe(1);
  });

  it('is asked for although a long chunk came, as long as more readers wait than chunks', async () => {
    const source = new Source(true);
    const reader = bodyStream(source, context).getReader();
    const both = Promise.all([reader.read(), reader.read()]);
    await Promise.resolve();
    source.push(new Uint8Array(heldBytes * 2));
    expect(source.pauses).toBe(0);
    source.push(new Uint8Array(1));
    expect((await both).map(({ value }) => value?.length)).toEqual([heldBytes * 2, 1]);
  });
});
