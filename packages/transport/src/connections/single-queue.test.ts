/**
 * Catches what real connections show by chance only: who overtakes those that wait, or is sent although it is over; a
 * connection that is used while it is being cut off, or that outlives close(); and somebody who is never told.
 */
import { describe, expect, it } from 'vitest';
import type { Passenger } from './passenger.js';
import type { PoolClient } from './pool-client.js';
import { SingleConnections } from './single-connections.js';

/** A connection that does nothing by itself. */
class Line {
  connected = true;
  destroyed = false;
  closed = false;
  readonly sent: Guest[] = [];
  dispatch(_: unknown, guest: Guest): void {
    this.sent.push(guest);
  }
  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
  destroy(): Promise<void> {
    this.destroyed = true;
    return Promise.resolve();
  }
}

class Guest {
  carrier: PoolClient | null = null;
  ahead = null;
  behind = null;
  isOver = false;
  asked = 0;
  late(): boolean {
    this.asked++;
    return this.isOver;
  }
  request(): object {
    return {};
  }
}

function rig(max: number) {
  const lines: Line[] = [];
  const all = new SingleConnections(max, () => {
    const line = new Line();
    lines.push(line);
    return line as never;
  });
  const come = (): Guest => {
    const guest = new Guest();
    all.dispatch(guest as unknown as Passenger);
    return guest;
  };
  const leave = (guest: Guest, clean = true): void => all.leave(guest as unknown as Passenger, clean);
  return { lines, all, come, leave };
}

describe('who waits', () => {
  it('is not overtaken, and gets a connection that failed only once that is cut off', async () => {
    const { lines, come, leave } = rig(2);
    const [a, b, c] = [come(), come(), come()];
    leave(a, false);
    expect(lines[0]?.sent).toEqual([a]);
    // While the connection is cut off.
    const d = come();
    await Promise.resolve();
    expect(lines[0]?.sent).toEqual([a, c]);
    leave(b);
    expect(lines[1]?.sent).toEqual([b, d]);
    expect(lines.length).toBe(2);
  });

  it('is left out if it is late, and not even asked if it has left', () => {
    const { lines, come, leave } = rig(1);
    const [a, late, left, b] = [come(), come(), come(), come()];
    late.isOver = true;
    leave(left);
    leave(a);
    expect(lines[0]?.sent).toEqual([a, b]);
    expect([late.asked, left.asked, b.asked]).toEqual([1, 0, 1]);
  });

  it('is told when everything is broken off, and nothing is sent after', async () => {
    const { lines, all, come, leave } = rig(1);
    const [a, b] = [come(), come()];
    await Promise.all([all.destroy(), all.destroy()]);
    // By a connection that is no more.
    expect([lines[0]?.destroyed, lines[0]?.sent]).toEqual([true, [a, b]]);
    leave(a, false);
    leave(b, false);
    await Promise.resolve();
    expect(lines[0]?.sent.length).toBe(2);
  });
});

it('close() ends what is free, with a socket or without, and the others one by one when nobody waits', async () => {
  const { lines, all, come, leave } = rig(3);
  const [a, b, c, d] = [come(), come(), come(), come()];
  leave(a);
  expect(lines[0]?.sent).toEqual([a, d]);
  leave(b);
  (lines[1] as Line).connected = false;
  leave(c);
  (lines[2] as Line).connected = false;
  // Looks through the free ones: one stays aside, without a socket.
  const e = come();
  let closed = false;
  const end = all.close().then(() => {
    closed = true;
  });
  expect(lines.filter((line) => line.closed).length).toBe(1);
  leave(d);
  await Promise.resolve();
  expect(closed).toBe(false);
  leave(e, false);
  await end;
  expect(lines.every((line) => line.closed)).toBe(true);
});
