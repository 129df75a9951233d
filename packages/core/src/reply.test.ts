/** Would catch: a body that flows past a pause, ends twice, hangs for a second reader, or fills memory without limit. */
import { callTo, reply, scripted } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { CanceledError } from './errors.js';
import { type BodySink, createReply, discard, type ReplyBody, readBytes, readText, replyHeader } from './reply.js';

class Log implements BodySink {
  readonly got: string[] = [];
  readonly #act: (what: string) => void;
  constructor(act: (what: string) => void = () => {}) {
    this.#act = act;
  }
  #log(what: string): void {
    this.got.push(what);
    this.#act(what);
  }
  onData(chunk: Uint8Array): void {
    this.#log(new TextDecoder().decode(chunk));
  }
  onEnd(): void {
    this.#log('end');
  }
  onError(error: unknown): void {
    this.#log((error as Error).name);
  }
}

function flow(act?: (what: string, body: ReplyBody) => void): { log: string[]; body: ReplyBody } {
  const { body } = createReply({ body: 'abc' });
  const sink = new Log((what) => act?.(what, body));
  body.attach(sink);
  return { log: sink.got, body };
}

describe('createReply', () => {
  it('answers with defaults, and is over from the beginning', () => {
    const answer = createReply();
    const ends: unknown[] = [];
    answer.onEnd((error) => ends.push(error));
    expect([answer.status, { ...answer.headers }, answer.endpoint, answer.at, ends]).toEqual([
      200,
      {},
      null,
      0,
      [null],
    ]);
  });

  it('flows at once', () => {
    expect(flow().log).toEqual(['abc', 'end']);
  });

  it.each([null, '', new Uint8Array(0)])('has no data, only an end, without a body (%j)', (body) => {
    const log = new Log();
    createReply({ body }).body.attach(log);
    expect(log.got).toEqual(['end']);
  });

  it('stops where the sink pauses, and goes on when it resumes', () => {
    const { log, body } = flow((what, it) => what === 'abc' && it.pause());
    expect(log).toEqual(['abc']);
    body.resume();
    body.resume();
    expect(log).toEqual(['abc', 'end']);
    const paused = createReply({ body: 'abc' }).body;
    const sink = new Log();
    paused.pause();
    paused.attach(sink);
    expect(sink.got).toEqual([]);
    paused.resume();
    expect(sink.got).toEqual(['abc', 'end']);
  });

  it('bears a sink that pauses and resumes while it gets data', () => {
    const act = (what: string, body: ReplyBody): void => {
      if (what !== 'abc') return;
      body.pause();
      body.resume();
    };
    expect(flow(act).log).toEqual(['abc', 'end']);
  });

  it('tells the sink once when it is canceled, before, while or after it flows', async () => {
    expect(flow((what, body) => what === 'abc' && body.cancel()).log).toEqual(['abc', 'CanceledError']);
    const { log, body } = flow((what, it) => what === 'abc' && it.pause());
    body.cancel(new RangeError());
    body.cancel();
    body.resume();
    expect(log).toEqual(['abc', 'RangeError']);
    const ended = flow();
    ended.body.cancel();
    expect(ended.log).toEqual(['abc', 'end']);
    const unread = createReply({ body: 'abc' });
    discard(unread);
    await expect(readBytes(unread)).rejects.toThrow(CanceledError);
  });

  it('flows to one sink only', async () => {
    const answer = createReply({ body: 'abc' });
    await readBytes(answer);
    await expect(readBytes(answer)).rejects.toThrow('to one sink');
  });
});

describe('reading', () => {
  const chunks = (...body: string[]) => scripted(reply(200, { body }))(callTo());

  it('joins the pieces', async () => {
    expect(await readText(await chunks('a', 'bc', 'd'))).toBe('abcd');
    expect(await readText(createReply({ body: 'grün' }))).toBe('grün');
    expect((await readBytes(createReply())).length).toBe(0);
  });

  it('reads text whose characters are cut in two', async () => {
    const bytes = new TextEncoder().encode('ü€');
    const backend = scripted(reply(200, { body: [bytes.subarray(0, 1), bytes.subarray(1, 3), bytes.subarray(3)] }));
    expect(await readText(await backend(callTo()))).toBe('ü€');
  });

  it('cuts off what is longer than allowed, and not what is just as long', async () => {
    expect(await readText(await chunks('ab', 'cd'), 4)).toBe('abcd');
    const answer = await chunks('ab', 'cd', 'e');
    const ends: unknown[] = [];
    answer.onEnd((error) => ends.push(error));
    await expect(readText(answer, 4)).rejects.toThrow(RangeError);
    expect(ends).toEqual([expect.any(RangeError)]);
    await expect(readBytes(createReply({ body: 'abc' }), 2)).rejects.toThrow('longer than 2 bytes');
  });
});

describe('replyHeader', () => {
  it('joins what came more than once', () => {
    const answer = createReply({ headers: { a: '1', b: ['1', '2'] } });
    expect([replyHeader(answer, 'a'), replyHeader(answer, 'b'), replyHeader(answer, 'c')]).toEqual([
      '1',
      '1, 2',
      undefined,
    ]);
  });
});
