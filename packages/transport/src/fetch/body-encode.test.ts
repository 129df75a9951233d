/** Catches bodies that change after they were given, and copies of what is too large to be copied. */
import { systemClock } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { copiedBytes, encodeBody } from './body-encode.js';

const encode = (body: unknown): Uint8Array => encodeBody(body, systemClock).body as Uint8Array;

/** Whether writing to `given` afterwards changes what will be sent. */
function follows(body: unknown, given: Uint8Array): boolean {
  const encoded = encode(body);
  const before = given[0] as number;
  given[0] = before + 1;
  return encoded[0] === before + 1;
}

describe('bytes', () => {
  it.each([
    ['at the bound', copiedBytes, false],
    ['beyond it', copiedBytes + 1, true],
  ])('%s', (_, length, same) => {
    const bytes = new Uint8Array(length);
    expect(follows(bytes, bytes)).toBe(same);
    const memory = new ArrayBuffer(length);
    expect(follows(memory, new Uint8Array(memory))).toBe(same);
    const part = new ArrayBuffer(length + 8);
    expect(follows(new DataView(part, 4, length), new Uint8Array(part, 4))).toBe(same);
  });

  it.each([
    ['shared', () => new SharedArrayBuffer(copiedBytes * 2)],
    ['resizable', () => new ArrayBuffer(copiedBytes * 2, { maxByteLength: copiedBytes * 4 })],
  ])('are copied whatever their size from %s memory', (_, make) => {
    const memory = make();
    expect(follows(memory, new Uint8Array(memory))).toBe(false);
    expect(follows(new Uint8Array(memory), new Uint8Array(memory))).toBe(false);
  });

  it('of a view are those of the view', () => {
    const memory = new Uint8Array(copiedBytes * 3).map((_, i) => i & 255);
    const view = new Uint16Array(memory.buffer, 2, copiedBytes);
    expect(Buffer.compare(encode(view), memory.subarray(2, 2 + copiedBytes * 2))).toBe(0);
  });
});
