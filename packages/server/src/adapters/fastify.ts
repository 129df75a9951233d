/** @module The guard as a fastify 5 plugin, known by its shape only. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Serving } from '../serving.js';

/** What the plugin asks of a fastify instance. */
export interface FastifyHooks {
  addHook(name: string, hook: (...args: never[]) => void): unknown;
}

/** A plugin as `app.register` takes it. */
export type FastifyPlugin = (instance: FastifyHooks, options: unknown, done: (error?: Error) => void) => void;

type Done = (error?: Error) => void;
type Raw<T> = { readonly raw: T };

/**
 * Makes the plugin. Its hook belongs to the instance that it is registered with, and so to all that are inside that one:
 * registered with the root, it guards every route, and what is no route, too. Errors of handlers take fastify's own way;
 * errors of layers join them there.
 */
export function guardFastify(guard: Serving): FastifyPlugin {
  // Node's own types differ between HTTP/1.1 and HTTP/2, which is why fastify's do: the guard takes either.
  const onRequest = (request: Raw<IncomingMessage>, reply: Raw<ServerResponse>, done: Done): void =>
    guard.serve(request.raw, reply.raw, done as (error?: unknown) => void);

  const plugin: FastifyPlugin = (instance, _options, done) => {
    instance.addHook('onRequest', onRequest);
    done();
  };
  return Object.assign(plugin, {
    // Without this, fastify would give the plugin an instance of its own, and the hook would be seen by nobody.
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: 'fairlead',
    // Says what is wrong to whoever registers this with another major version.
    [Symbol.for('plugin-meta')]: { name: 'fairlead', fastify: '5.x' },
  });
}
