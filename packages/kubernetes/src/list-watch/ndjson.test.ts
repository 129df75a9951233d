/** Would catch: a line lost, joined or garbled because of where a read happened to end; a line that grows without bound. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineSplitter } from './ndjson.js';

const encoder = new TextEncoder();

function split(chunks: readonly Uint8Array[], maxBytes?: number): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line), maxBytes);
  for (const chunk of chunks) splitter.push(chunk);
  return lines;
}

describe('LineSplitter', () => {
  const lines = ['{"zone":"Zürich"}', '{"name":"日本\u2028"}', '{"pod":"🛟-1"}'];
  const bytes = encoder.encode(`${lines.join('\n')}\n`);

  it('gives the same lines wherever the bytes are cut in two, also within a character', () => {
    for (let at = 0; at <= bytes.length; at++) {
      expect(split([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(lines);
    }
  });

  it('gives the same lines byte by byte', () => {
    expect(split([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(lines);
  });

  it('gives the same lines however the bytes are cut', () => {
    const characters = fc.string({ unit: fc.constantFrom('a', 'é', '日', '🛟', '\u2028', '\0') });
    const text = fc.array(characters.map((line) => `x${line}x`));
    fc.assert(
      fc.property(text, fc.array(fc.nat(20)), (wanted, sizes) => {
        const all = encoder.encode(wanted.map((line) => `${line}\n`).join(''));
        const chunks: Uint8Array[] = [];
        let at = 0;
        for (const size of sizes) chunks.push(all.subarray(at, (at += size)));
        expect(split([...chunks, all.subarray(at)])).toEqual(wanted);
      }),
    );
  });

  it('leaves blank lines out, takes CRLF, and keeps back a line without its end', () => {
    expect(split([encoder.encode('\n\r\n  \na\r\nb\nc')])).toEqual(['a', 'b']);
  });

  it('reads a Buffer that is part of a larger one', () => {
    expect(split([Buffer.from('xxab\nxx').subarray(2, 5)])).toEqual(['ab']);
  });

  it('refuses a line beyond the limit, in one read or in many, and takes one of just that length', () => {
    expect(split([encoder.encode('12345\n'), encoder.encode('12'), encoder.encode('345\n')], 5)).toHaveLength(2);
    expect(() => split([encoder.encode('123456\n')], 5)).toThrow(RangeError);
    expect(() => split([encoder.encode('123'), encoder.encode('456')], 5)).toThrow('longer than 5 bytes');
  });
});
