/** @module The whole stack above an end that answers at once when so many calls wait for it: no sockets, so only it is measured. */

import { createFetch } from '@fairlead/transport';
import {
  createEndpoint,
  createReply,
  fixed,
  type Handler,
  type Reply,
  type ReplyHeaders,
  type Runtime,
  systemClock,
} from 'fairlead';
import type { Case } from '../measure.ts';
import { everythingOn } from '../overhead/fairlead.ts';
import { spread } from '../spread.ts';

const runtime: Runtime = { clock: systemClock };
const url = 'http://payments/charges/42';
const headers: ReplyHeaders = { 'content-type': 'application/json' };
const body = new TextEncoder().encode('{"id":42}');

/** Answers when `inFlight` calls wait, all of them. Made for totals that are a multiple of that. */
class CrowdedEnd {
  readonly #inFlight: number;
  #waiting: ((reply: Reply) => void)[] = [];

  constructor(inFlight: number) {
    this.#inFlight = inFlight;
  }

  readonly handler: Handler = () =>
    new Promise((resolve) => {
      if (this.#waiting.push(resolve) < this.#inFlight) return;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const each of waiting) each(createReply({ headers, body, at: systemClock.now() }));
    });
}

/** The fetch face alone, to be taken off. */
export function bareFace(name: string, inFlight: number): Case {
  const { handler } = new CrowdedEnd(inFlight);
  const route = { service: 'payments', handler, runtime };
  const bare = createFetch({ route: () => route });
  return { name, run: (n) => spread(n, inFlight, async () => (await bare(url)).json()) };
}

/** Everything on, in front of so many endpoints. */
export function wholeStack(name: string, endpoints: number, inFlight: number, less: string): Case {
  const end = new CrowdedEnd(inFlight);
  const list = Array.from({ length: endpoints }, (_, i) => createEndpoint(`http://10.0.${i >> 8}.${i & 255}:8080`));
  const client = everythingOn(fixed(list), { layers: { attempt: [(call) => end.handler(call)] } });
  return { name, less, run: (n) => spread(n, inFlight, async () => (await client.fetch(url)).json()) };
}
