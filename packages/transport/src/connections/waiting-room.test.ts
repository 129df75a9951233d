/** Catches a queue that loses somebody when another leaves from its middle, that changes the order, or that keeps who has left. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Waiting, WaitingRoom } from './waiting-room.js';

class Guest implements Waiting {
  ahead: Guest | null = null;
  behind: Guest | null = null;
}

it('does what a list would, whoever leaves', () => {
  const step = fc.oneof(
    fc.constant('push' as const),
    fc.constant('shift' as const),
    // Who leaves: any of those that ever came, also twice.
    fc.nat(50),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const room = new WaitingRoom<Guest>();
      const list: Guest[] = [];
      const ever: Guest[] = [new Guest()];
      for (const each of steps) {
        if (each === 'push') {
          const guest = new Guest();
          ever.push(guest);
          room.push(guest);
          list.push(guest);
        } else if (each === 'shift') {
          expect(room.shift()).toBe(list.shift() ?? null);
        } else {
          const guest = ever[each % ever.length] as Guest;
          room.remove(guest);
          if (list.includes(guest)) list.splice(list.indexOf(guest), 1);
          expect([guest.ahead, guest.behind]).toEqual([null, null]);
        }
        expect(room.empty).toBe(list.length === 0);
      }
      for (const guest of list) expect(room.shift()).toBe(guest);
      expect(room.shift()).toBe(null);
      // It may come back.
      room.push(ever[0] as Guest);
      expect(room.shift()).toBe(ever[0]);
    }),
  );
});
