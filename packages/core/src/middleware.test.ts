/** Would catch: layers in the wrong order, bound for every call, or without names. */
import { callTo, reply, scripted } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { compose, type Handler, type Middleware } from './middleware.js';

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
});
