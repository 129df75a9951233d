/** Would catch: layers in the wrong order, bound for every call, or without names. */
import { callTo, reply, scripted } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { compose } from './compose.js';
import type { Handler, Middleware, Receiver } from './middleware.js';
import { handlerOf, relay } from './relay.js';
import { createReply } from './reply.js';

const mark =
  (log: string[], name: string): Middleware =>
  async (call, next) => {
    log.push(`${name} down`);
    const answer = await next(call.with({ path: `${call.path}${name}` }));
    log.push(`${name} up`);
    return answer;
  };

describe('compose', () => {
  it('lets the first layer see the call first, and the reply last', async () => {
    const log: string[] = [];
    const backend = scripted(reply());
    const stack = compose([mark(log, 'a'), mark(log, 'b'), mark(log, 'c')], backend);
    await stack(callTo());
    expect(log).toEqual(['a down', 'b down', 'c down', 'c up', 'b up', 'a up']);
    expect(backend.calls[0]?.path).toBe('/abc');
  });

  it('is the end itself without layers', () => {
    const end = scripted(reply());
    expect(compose([], end)).toBe(end);
  });

  it('gives a layer the same next for every call', async () => {
    const seen = new Set<Handler>();
    const stack = compose(
      [
        (call, next) => {
          seen.add(next);
          return next(call);
        },
        mark([], 'x'),
      ],
      scripted(reply()),
    );
    await stack(callTo());
    await stack(callTo());
    expect(seen.size).toBe(1);
  });

  it('lets a layer call next any number of times, or not at all', async () => {
    const backend = scripted(reply());
    const twice: Middleware = async (call, next) => {
      await next(call);
      return next(call.with({ attempt: 2 }));
    };
    await compose([twice, twice], backend)(callTo());
    expect(backend.calls.map((call) => call.attempt)).toEqual([1, 2, 2, 2]);
  });

  it('keeps the names of the layers', () => {
    const layer: Middleware = function retry(call, next) {
      return next(call);
    };
    expect(compose([layer], scripted(reply())).name).toBe('retry');
  });

  it('puts no promise between neighbours that can do without', async () => {
    const told: Receiver[] = [];
    const pass = (name: string): Middleware =>
      relay(name, (call, next, receiver) => {
        told.push(receiver);
        next(call, receiver);
      });
    const end = handlerOf('end', (_, receiver) => {
      told.push(receiver);
      receiver.onReply(createReply({ status: 204 }));
    });
    const stack = compose([pass('a'), pass('b')], end);
    const replies: number[] = [];
    const receiver: Receiver = { onReply: ({ status }) => replies.push(status), onError: () => {} };
    stack.dispatch?.(callTo(), receiver);
    expect(told).toEqual([receiver, receiver, receiver]);
    expect(replies).toEqual([204]);
    expect((await stack(callTo())).status).toBe(204);
  });

  it('mixes layers of both forms, and keeps their order and their names', async () => {
    const log: string[] = [];
    const quick = (name: string): Middleware =>
      relay(name, (call, next, receiver) => {
        log.push(`${name} down`);
        next(call.with({ path: `${call.path}${name}` }), {
          onReply(answer) {
            log.push(`${name} up`);
            receiver.onReply(answer);
          },
          onError: (error) => receiver.onError(error),
        });
      });
    const backend = scripted(reply());
    const stack = compose([quick('a'), mark(log, 'b'), quick('c'), quick('d')], backend);
    await stack(callTo());
    expect(log).toEqual(['a down', 'b down', 'c down', 'd down', 'd up', 'c up', 'b up', 'a up']);
    expect(backend.calls[0]?.path).toBe('/abcd');
    expect(stack.name).toBe('a');
  });
});
