// Catches: a pair of sockets that loses, copies or reorders bytes, takes more than is read, or hangs when one side ends.
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { nextTurn } from '../../test/servers.js';
import { BridgeSocket } from './bridge-socket.js';

function pair(): [BridgeSocket, BridgeSocket] {
  const a = new BridgeSocket();
  const b = new BridgeSocket();
  a.peer = b;
  b.peer = a;
  return [a, b];
}

describe('BridgeSocket', () => {
  it('hands over what is written, in order and both ways, and not as a copy', async () => {
    const [a, b] = pair();
    const chunk = Buffer.from('from a');
    const first = once(b, 'data');
    a.write(chunk);
    expect((await first)[0]).toBe(chunk);
    const rest = text(b);
    a.write(' 1');
    a.write(' 2');
    a.end();
    b.end('from b');
    expect(await Promise.all([rest, text(a)])).toEqual([' 1 2', 'from b']);
  });

  it('takes no more than is read', async () => {
    const [a, b] = pair();
    const chunk = Buffer.alloc(16_384);
    let written = 0;
    for (let i = 0; i < 100; i++) a.write(chunk, () => written++);
    await nextTurn();
    expect(written).toBeLessThan(20);
    const held = written;
    b.read();
    await nextTurn();
    expect(written).toBeGreaterThan(held);
    b.resume();
    while (written < 100) await nextTurn();
  });

  it('ends after what was written when the other side is destroyed', async () => {
    const [a, b] = pair();
    a.write('last words');
    a.destroy();
    expect(await text(b)).toBe('last words');
  });

  it('destroySoon writes everything first', async () => {
    const [a, b] = pair();
    const chunk = 'x'.repeat(100_000);
    for (let i = 0; i < 5; i++) a.write(chunk);
    a.destroySoon();
    expect(a.destroyed).toBe(false);
    expect((await text(b)).length).toBe(500_000);
    expect(a.destroyed).toBe(true);
  });

  it('drops what is written to a side that is gone, and says that it was written', async () => {
    const [a, b] = pair();
    b.destroy();
    await new Promise<void>((resolve) => a.write('to nobody', () => resolve()));
    const [c, d] = pair();
    let written = 0;
    for (let i = 0; i < 20; i++) c.write(Buffer.alloc(16_384), () => written++);
    await nextTurn();
    expect(written).toBeLessThan(20);
    d.destroy();
    while (written < 20) await nextTurn();
  });
});
