// Would catch: a repetition that hops further down repeat, too, a first attempt taken for one, and a caller that is not told,
// or told wrongly, that everything has been tried.
import { createServer, type RequestListener, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import { giveUp, inheritedAttempt } from '@fairlead/core';
import express from 'express';
import { afterEach, describe, expect, it } from 'vitest';
import { callOf } from '../exchange.js';
import { createGuard } from '../guard.js';
import { readAttempt } from './inbound-attempt.js';

describe('readAttempt', () => {
  it.each([
    [[], 1],
    [['x-envoy-attempt-count', '1'], 1],
    [['x-envoy-attempt-count', '2'], 2],
    [['x-envoy-attempt-count', '0'], 1],
    [['x-envoy-attempt-count', '-3'], 1],
    [['x-envoy-attempt-count', '2.5'], 1],
    [['x-envoy-attempt-count', '9999'], 1],
    [['x-envoy-attempt-count', 'two'], 1],
    [['x-envoy-attempt-cuont', '2'], 1],
    [['grpc-previous-rpc-attempts', '1'], 2],
    [['grpc-previous-rpc-attempts', '0'], 1],
    [['grpc-previous-rpc-attempts', ''], 1],
    [['x-envoy-attempt-count', '2', 'grpc-previous-rpc-attempts', '2'], 3],
  ])('%j is %i', (headers, attempt) => {
    expect(readAttempt(headers)).toBe(attempt);
  });
});

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function ask(listener: RequestListener, headers: Record<string, string> = {}) {
  const server = createServer(listener);
  closers.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return new Promise<{ status: number; retry: string | string[] | undefined }>((resolve, reject) => {
    const request = send({ port, headers, agent: false }, (response) => {
      response.resume();
      response.on('end', () =>
        resolve({ status: response.statusCode as number, retry: response.headers['x-fairlead-retry'] }),
      );
    });
    request.on('error', reject).end();
  });
}

describe('a guard', () => {
  it('knows which attempt a request is', async () => {
    const seen: number[] = [];
    const listener = createGuard().node((request, response) => {
      seen.push(inheritedAttempt((callOf(request) as NonNullable<ReturnType<typeof callOf>>).scope.child()));
      response.end();
    });
    await ask(listener);
    await ask(listener, { 'x-envoy-attempt-count': '3' });
    expect(seen).toEqual([1, 3]);
  });

  it.each([
    ['statusCode', 503, 'no'],
    ['statusCode', 500, 'no'],
    ['writeHead', 502, 'no'],
    ['writeHead with headers', 504, 'no'],
    ['writeHead with a list', 504, 'no'],
    ['statusCode', 404, undefined],
    ['writeHead', 200, undefined],
  ])('answers with %s %i and x-fairlead-retry: %s once a call has been given up', async (how, status, retry) => {
    const listener = createGuard().node((request, response) => {
      giveUp((callOf(request) as NonNullable<ReturnType<typeof callOf>>).scope.child());
      if (how === 'statusCode') response.statusCode = status;
      else if (how === 'writeHead') response.writeHead(status);
      else if (how === 'writeHead with headers') response.writeHead(status, { 'x-a': 'b' });
      else response.writeHead(status, ['x-a', 'b']);
      response.end('x');
    });
    expect(await ask(listener)).toEqual({ status, retry });
  });

  it('says nothing of a failure of its own, and leaves what the handler says', async () => {
    const guard = createGuard({ onError: () => {} });
    const own = guard.node((_, response) => {
      response.statusCode = 503;
      response.end();
    });
    expect(await ask(own)).toEqual({ status: 503, retry: undefined });
    const said = guard.node((request, response) => {
      giveUp((callOf(request) as NonNullable<ReturnType<typeof callOf>>).scope);
      response.setHeader('x-fairlead-retry', 'please');
      response.statusCode = 503;
      response.end();
    });
    expect(await ask(said)).toEqual({ status: 503, retry: 'please' });
    const threw = guard.node((request) => {
      giveUp((callOf(request) as NonNullable<ReturnType<typeof callOf>>).scope);
      throw new Error('as handlers do whose call has failed');
    });
    expect(await ask(threw)).toEqual({ status: 500, retry: 'no' });
  });

  it('says so under express and through a second guard', async () => {
    const app = express();
    app.use(createGuard().express(), createGuard().express());
    app.get('/', (request, response) => {
      giveUp((callOf(request) as NonNullable<ReturnType<typeof callOf>>).scope);
      response.status(502).json({});
    });
    expect(await ask(app)).toEqual({ status: 502, retry: 'no' });
  });
});
