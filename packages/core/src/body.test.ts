/** Would catch: a body that is sent a second time although somebody has begun to read it. */
import { describe, expect, it } from 'vitest';
import { canSend, isOnce, type RequestBody } from './body.js';

async function* pieces(): AsyncGenerator<Uint8Array> {}

describe('a request body', () => {
  it.each<[string, RequestBody, boolean, boolean]>([
    ['nothing', null, false, true],
    ['text', 'text', false, true],
    ['bytes', new Uint8Array(1), false, true],
    ['one that opens again and again', { open: pieces }, false, true],
    ['a stream', { once: pieces() }, true, true],
    ['a stream that nobody has touched', { once: pieces(), started: false }, true, true],
    ['a stream that somebody has begun to read', { once: pieces(), started: true }, true, false],
  ])('of %s', (_, body, once, sendable) => {
    expect([isOnce(body), canSend(body)]).toEqual([once, sendable]);
  });
});
