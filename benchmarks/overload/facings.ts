/** @module What stands in front of the service: nothing, what teams use today, or the guard. */
import underPressure from '@fastify/under-pressure';
import { createGuard, guard, shed } from 'fairlead/fastify';
import type { FastifyInstance } from 'fastify';

export type Facing = 'nothing' | 'fixed limit' | 'under-pressure' | 'guard' | 'classes' | 'refusals';

const plain = { environment: false, drain: false } as const;

/** Puts it in front of `app`; a fixed limit is one of so many `perSecond`. */
export const facings: Readonly<Record<Facing, (app: FastifyInstance, perSecond: number) => Promise<unknown>>> = {
  nothing: async () => {},
  // What somebody who has measured the capacity would set, in the hope that it stays.
  'fixed limit': async (app, perSecond) =>
    app.register(guard({ ...plain, limit: { perSecond, burst: 20 }, key: () => 'all' })),
  // Its defaults look once a second, at the utilization since the process began.
  'under-pressure': async (app) =>
    app.register(underPressure, {
      sampleInterval: 100,
      maxEventLoopDelay: 50,
      maxEventLoopUtilization: 0.98,
      eventLoopUtilizationMode: 'interval',
    } as never),
  guard: async (app) => app.register(guard(plain)),
  // Callers are believed, as those with a certificate would be.
  classes: async (app) => app.register(createGuard({ shed: shed(), trusts: () => true }).fastify()),
  // The guard, refusing everything, so that one can see what a refusal costs.
  refusals: async (app) => {
    const arrive: ReturnType<typeof shed>['arrive'] = (door, request, response) => door.turnAway(request, response);
    return app.register(createGuard({ shed: Object.assign(shed(), { arrive }) }).fastify());
  },
};
