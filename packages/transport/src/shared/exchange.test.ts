/** Catches what node:http2 does by chance only: data before the head, a head held back once and lost the next time; a timer left. */
import { EventEmitter } from 'node:events';
import { VirtualClock } from '@fairlead/testing';
import { expect, it } from 'vitest';
import { StreamExchange } from './exchange.js';
import type { Head } from './stream-events.js';
import { isUnseen } from './unseen.js';

const clock = new VirtualClock();

const head = (status: number, length?: string): Head => ({ ':status': status, 'content-length': length }) as Head;

function rig(wishes: object = {}) {
  const told: unknown[] = [];
  const handler = {
    onResponseStart: (_: unknown, status: number) => void told.push(status),
    onResponseData: (_: unknown, chunk: Buffer) => void told.push(String(chunk)),
    onResponseEnd: () => void told.push('end'),
    onResponseError: (_: unknown, error: Error) => void told.push(error),
  };
  let again = 0;
  const sender = { clock, again: () => void again++ };
  const request = { method: 'GET', path: '/', body: null, headers: [], ...wishes };
  const exchange = new StreamExchange(request as never, [], handler as never, sender, null);
  const connection = { farewell: null, isClosed: false, hasRejected: () => false, ended: () => {}, retire: () => {} };
  const send = (stream: object): void => {
    const made = Object.assign(new EventEmitter(), { id: 1, rstCode: 0, ...stream });
    exchange.send({ ...connection, begin: () => made } as never);
  };
  return { exchange, send, told, again: () => again };
}

it('what comes before the head is told after it, in order', () => {
  const { exchange, send, told } = rig();
  send({});
  exchange.arrived(Buffer.from('a'));
  exchange.arrived(Buffer.from('b'));
  exchange.responded(head(103));
  expect(told).toEqual([103]);
  exchange.responded(head(200, '3'));
  exchange.arrived(Buffer.from('c'));
  exchange.ended();
  expect(told).toEqual([103, 200, 'a', 'b', 'c', 'end']);
});

it('what was not looked at the first time may have been the second', () => {
  const { exchange, send, told, again } = rig();
  send({ rstCode: 2 });
  exchange.held(false);
  exchange.broke(new Error('first'));
  exchange.closed();
  expect([again(), told]).toEqual([1, []]);
  send({ rstCode: 2 });
  exchange.closed();
  expect([again(), told.length]).toEqual([1, 1]);
  expect(isUnseen(told[0] as Error)).toBe(false);
  expect((told[0] as Error).message).toBe('other side closed');
});

it('has no timer while it is not on its way, nor once its head has come if the body may take its time', () => {
  const { exchange, send } = rig({ headersTimeout: 1_000 });
  send({ rstCode: 7 });
  expect(clock.pending).toBe(1);
  exchange.closed();
  expect(clock.pending).toBe(0);
  send({});
  expect(clock.pending).toBe(1);
  exchange.responded(head(200));
  expect(clock.pending).toBe(0);
});
