// Catches: spans that do not hang together on the way from an inbound request over a call to its attempts, and more or less
// than one traceparent on the wire, with a real OpenTelemetry SDK.
import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from './client.js';

const exporter = new InMemorySpanExporter();
const seen: IncomingMessage[] = [];
let server: Server;
let origin = '';
/** The first answer to a path that begins with /flaky is a 503. */
const failedOnce = new Set<string>();

beforeAll(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }));
  server = createServer((request, response) => {
    seen.push(request);
    const url = request.url ?? '';
    response.writeHead(url.startsWith('/flaky') && !failedOnce.has(url) ? 503 : 200).end();
    failedOnce.add(url);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  trace.disable();
  context.disable();
  server.closeAllConnections();
  server.close();
});
afterEach(() => {
  exporter.reset();
  seen.length = 0;
});

const sent = (request: IncomingMessage | undefined): string[] =>
  (request?.rawHeaders ?? []).filter((_, i, all) => all[i - 1]?.toLowerCase() === 'traceparent');

describe('with an OpenTelemetry SDK', () => {
  it('each attempt is a CLIENT span below the span of its call, and its traceparent is what is sent', async () => {
    await using client = createClient({ environment: false, services: { payments: [origin] } });
    await trace.getTracer('test').startActiveSpan('handler', async (parent) => {
      await (await client.fetch('http://payments/flaky/1')).text();
      parent.end();
    });
    const spans = exporter.getFinishedSpans();
    const handler = spans.find(({ name }) => name === 'handler');
    const call = spans.find(({ name }) => name === 'GET payments');
    const attempts = spans.filter(({ name }) => name === 'GET');
    expect(call?.parentSpanContext?.spanId).toBe(handler?.spanContext().spanId);
    expect(attempts).toHaveLength(2);
    for (const [i, attempt] of attempts.entries()) {
      expect(attempt.parentSpanContext?.spanId).toBe(call?.spanContext().spanId);
      const { traceId, spanId } = attempt.spanContext();
      expect(sent(seen[i])).toEqual([`00-${traceId}-${spanId}-01`]);
      expect(attempt.attributes).toMatchObject({
        'http.request.method': 'GET',
        'http.response.status_code': i === 0 ? 503 : 200,
        'server.address': '127.0.0.1',
        'url.full': `${origin}/flaky/1`,
      });
    }
    expect(attempts.map(({ attributes }) => attributes['http.request.resend_count'])).toEqual([undefined, 1]);
  });

  it('leaves attempts to an instrumentation of undici that is there, unless told otherwise', async () => {
    const created = channel('undici:request:create');
    // What instrumentation-undici does: it appends its own header to every request.
    const instrument = (message: unknown): void => {
      const { request } = message as { request: { addHeader(name: string, value: string): void } };
      request.addHeader('traceparent', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`);
    };
    created.subscribe(instrument);
    try {
      await using client = createClient({ environment: false, services: { payments: [origin] } });
      await (await client.fetch('http://payments/')).text();
      expect(sent(seen[0])).toEqual([`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`]);
    } finally {
      created.unsubscribe(instrument);
    }
  });
});
