/** Would catch: a call that is never answered, or answered twice, where layers with and without promises meet. */
import { callTo, refuse, reply, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { TransportError } from './errors.js';
import type { Handler, Receiver } from './middleware.js';
import { dispatchOf, handlerOf, relay, tellOf } from './relay.js';
import { createReply, type Reply } from './reply.js';

class Ear implements Receiver {
  readonly heard: unknown[] = [];
  onReply(answer: Reply): void {
    this.heard.push(answer.status);
  }
  onError(error: unknown): void {
    this.heard.push(error);
  }
}

/** After everything that is waiting for a turn has had it. */
const turns = (): Promise<void> => new VirtualClock().advance(0);

describe('relay', () => {
  const through = relay('through', (call, next, receiver) => next(call, receiver));

  it('is a middleware like any other', async () => {
    expect(through.name).toBe('through');
    expect((await through(callTo(), scripted(reply(201)))).status).toBe(201);
    await expect(through(callTo(), scripted(refuse()))).rejects.toThrow(TransportError);
  });

  it('asks a next without promises without one', async () => {
    const next = handlerOf('next', (_, receiver) => receiver.onError(new Error('refused')));
    await expect(through(callTo(), next)).rejects.toThrow('refused');
  });
});

describe('handlerOf', () => {
  it('makes a handler that promises what it tells', async () => {
    const handler = handlerOf('end', (_, receiver) => receiver.onReply(createReply({ status: 202 })));
    expect(handler.name).toBe('end');
    expect((await handler(callTo())).status).toBe(202);
    expect(dispatchOf(handler)).toBe(handler.dispatch);
  });
});

describe('tellOf', () => {
  it('tells the reply, or the error', async () => {
    const ear = new Ear();
    tellOf(ear, scripted(reply(200)), callTo());
    tellOf(ear, scripted(refuse()), callTo());
    await turns();
    expect(ear.heard).toEqual([200, expect.any(TransportError)]);
  });

  it('tells of a handler that throws although it must not, and of one that promises nothing', () => {
    const ear = new Ear();
    const broken: Handler = () => {
      throw new Error('broken');
    };
    tellOf(ear, broken, callTo());
    tellOf(ear, (() => undefined) as never, callTo());
    expect(ear.heard).toMatchObject([{ message: 'broken' }, { name: 'TypeError' }]);
  });

  it('tells the error of whoever looks at a reply that is none', async () => {
    const ear = new Ear();
    tellOf(ear, (() => Promise.resolve(null)) as never, callTo());
    await turns();
    expect(ear.heard).toMatchObject([{ name: 'TypeError' }]);
  });
});
