/** Catches: undici's timeouts over HTTP/2 that are not kept, that count what they should not, or outlive their request; interim heads that are lost. */
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { type Call, readText } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { expect, it } from 'vitest';
import { opened } from '../../test/opened.js';
import { call, nextTurn, rejection, serve, type TestServer, until } from '../../test/servers.js';
import { type ExchangeTap, tapped } from '../door/tap.js';

const { servers, make } = opened();
const clock = new VirtualClock();

async function site(onStream: (stream: ServerHttp2Stream) => void): Promise<TestServer> {
  const server = createServer().on('stream', (stream: ServerHttp2Stream) => onStream(stream.on('error', () => {})));
  const made = await serve(server as never);
  servers.push(made);
  return made;
}

const told: number[] = [];
/** With 1 s for the head, and 1 s for each piece of the body. */
function impatient(server: TestServer): Call {
  const nothing = (): void => {};
  const tap: ExchangeTap = {
    wishes: { upgrade: null, headersTimeout: 1_000, bodyTimeout: 1_000 },
    onInformation: (status) => void told.push(status),
    onUpgrade: nothing,
    onBodySent: nothing,
    onRequestSent: nothing,
    onResponseStarted: nothing,
  };
  return call(server, { runtime: { clock }, attributes: tapped(tap) });
}
const options = { http2: true, maxConnectionAgeMs: false, unusedMs: 1e9, keepAliveMs: 1e9 } as const;
const turns = async (): Promise<void> => {
  for (let n = 0; n < 20; n++) await nextTurn();
};

it('a head that does not come in time ends the call, and one in time ends the wait for it', async () => {
  const streams: ServerHttp2Stream[] = [];
  const server = await site((stream) => void streams.push(stream));
  const transport = make(options);
  const late = rejection(transport.handler(impatient(server)));
  await until(() => streams.length === 1);
  await clock.advance(1_000);
  expect((await late).cause.code).toBe('UND_ERR_HEADERS_TIMEOUT');
  const inTime = transport.handler(impatient(server));
  await until(() => streams.length === 2);
  await clock.advance(999);
  streams[1]?.additionalHeaders({ ':status': 103 });
  streams[1]?.respond({ ':status': 200 });
  const reply = await inTime;
  expect(told.splice(0)).toEqual([103]);
  const text = readText(reply);
  for (const piece of ['a', 'b', 'c']) {
    await clock.advance(999);
    streams[1]?.write(piece);
    await turns();
  }
  streams[1]?.end();
  expect(await text).toBe('abc');
  // Of the connection, and of the transport.
  expect(clock.pending).toBe(2);
});

it('a piece of a body that does not come in time ends the call; what nobody takes is not counted', async () => {
  let stream: ServerHttp2Stream | null = null;
  const server = await site((each) => {
    stream = each;
    each.respond({ ':status': 200 });
    each.write('a');
  });
  const reply = await make(options).handler(impatient(server));
  const got: string[] = [];
  const over = new Promise<{ cause?: { code?: string } } | null>((resolve) => {
    reply.body.attach({
      onData: (chunk) => void got.push(Buffer.from(chunk).toString()),
      onEnd: () => resolve(null),
      onError: (error) => resolve(error as never),
    });
  });
  await until(() => got.length === 1);
  reply.body.pause();
  await turns();
  await clock.advance(10_000);
  reply.body.resume();
  await turns();
  await clock.advance(999);
  (stream as ServerHttp2Stream | null)?.write('b');
  await until(() => got.length === 2);
  await clock.advance(999);
  expect(got).toEqual(['a', 'b']);
  await clock.advance(1);
  expect((await over)?.cause?.code).toBe('UND_ERR_BODY_TIMEOUT');
  expect(clock.pending).toBe(2);
});
