// Catches: a form that is read as something else than it says, a mistake that passes, that hides another one, or whose
// message does not say where it is and what would be right.
import { ConfigError, type Endpoint } from '@fairlead/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readDocument } from './document.js';

const encoder = new TextEncoder();
const bytes = (content: unknown): Uint8Array =>
  encoder.encode(typeof content === 'string' ? content : JSON.stringify(content));
const read = (content: unknown, service: string | null = null): readonly Endpoint[] =>
  readDocument(bytes(content), service, 'a.json');
const origins = (content: unknown, service: string | null = null): string =>
  read(content, service)
    .map(({ origin }) => origin.replace('http://', ''))
    .join(' ');

/** The problems as they are written, without the line that counts them. */
function problems(content: unknown, service: string | null = null): string[] {
  try {
    read(content, service);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    const [head, ...lines] = (error as Error).message.split('\n');
    expect(head).toBe(`a.json: ${lines.length} problem${lines.length === 1 ? '' : 's'}`);
    return lines.map((line) => line.slice(2));
  }
  throw new Error('it was read');
}

describe('a document of our own', () => {
  it('lists origins, and objects with the fields of an endpoint', () => {
    const whole = {
      origin: 'https://10.0.0.6:8443',
      id: 'pod-6',
      weight: 2.5,
      zone: 'a',
      priority: 1,
      attributes: { node: 'n1', serverName: 'payments.prod' },
    };
    const endpoints = read({
      endpoints: ['http://10.0.0.5:8080', whole, { origin: 'unix:/run/p.sock', zone: null }, 'http://payments.prod'],
    });
    expect(endpoints[0]).toMatchObject({ id: 'http://10.0.0.5:8080', weight: 1, zone: null, priority: 0 });
    expect(endpoints[1]).toEqual(whole);
    expect(endpoints.slice(2).map(({ origin }) => origin)).toEqual(['unix:/run/p.sock', 'http://payments.prod']);
    expect(Object.isFrozen(endpoints)).toBe(true);
    expect(read({ endpoints: [] })).toEqual([]);
  });

  it('holds several services, each as if it stood alone', () => {
    const services = {
      payments: ['http://a'],
      ledger: [{ targets: ['b:1', 'c:2'] }],
      search: [{ origin: 'http://d' }],
      idle: [],
      constructor: ['http://e'],
    };
    expect(['payments', 'ledger', 'search', 'idle', 'constructor'].map((name) => origins({ services }, name))).toEqual([
      'a',
      'b:1 c:2',
      'd',
      '',
      'e',
    ]);
    expect(problems({ services }, 'paymets')).toEqual([
      '#paymets: expected one of the services in it, named after a #: payments, ledger, search, idle, constructor; did you mean payments?',
    ]);
    expect(problems({ services }, 'toString')).toHaveLength(1);
    expect(problems({ services })).toEqual([
      'services: expected one of the services in it, named after a #: payments, ledger, search, idle, constructor',
    ]);
    expect(problems({ services: {} }, 'a')).toEqual([expect.stringMatching(/there are none$/)]);
    expect(problems({ services: { a: { endpoints: [] } } }, 'a')).toEqual([
      'services.a = {"endpoints":[]}: expected a list of endpoints',
    ]);
    expect(problems({ services: [] }, 'a')).toEqual(['services = []: expected an object with a name for each service']);
    expect(problems({ endpoints: [] }, 'a')).toEqual([
      '#a: expected no service to be named: there is one only, under "endpoints"',
    ]);
  });

  it('says everything that is wrong, and where', () => {
    expect(
      problems({
        endpoints: [
          'nowhere',
          'http://u:secret@a/',
          7,
          null,
          [],
          {},
          { origin: 'http://a', weight: 0, zone: '', priority: 1.5, attributes: [], id: '' },
          { origin: 'http://a', wieght: 1 },
          { origin: 'http://a/path' },
          { url: 'http://a' },
        ],
      }),
    ).toEqual([
      expect.stringMatching(/^endpoints\[0\] = "nowhere": expected an origin such as/),
      expect.stringMatching(/^endpoints\[1\] = "http:\/\/\*\*\*@a\/": expected an origin such as/),
      'endpoints[2] = 7: expected an origin such as http://10.0.0.5:8080, or an object with one',
      'endpoints[3] = null: expected an origin such as http://10.0.0.5:8080, or an object with one',
      'endpoints[4] = []: expected an origin such as http://10.0.0.5:8080, or an object with one',
      'endpoints[5].origin: expected an origin such as http://10.0.0.5:8080',
      'endpoints[6].weight = 0: expected a number above 0; who is to get nothing is left out',
      'endpoints[6].zone = "": expected a non-empty string, or null',
      'endpoints[6].priority = 1.5: expected a whole number from 0',
      'endpoints[6].attributes = []: expected an object',
      'endpoints[6].id = "": expected a non-empty string',
      'endpoints[7].wieght: expected one of origin, id, weight, zone, priority, attributes; did you mean weight?',
      expect.stringMatching(/^endpoints\[8\] = "http:\/\/a\/path": expected an origin such as/),
      'endpoints[9].url: expected one of origin, id, weight, zone, priority, attributes',
      'endpoints[9].origin: expected an origin such as http://10.0.0.5:8080',
    ]);
  });

  it('is one endpoint when it is written twice, and none of two by one id', () => {
    expect(origins({ endpoints: ['http://a', 'http://a:80', { origin: 'http://a', weight: 2 }] })).toBe('a');
    const twice = [
      { id: '1', origin: 'http://a' },
      { id: '1', origin: 'http://b' },
    ];
    expect(problems({ endpoints: twice })).toEqual([
      'id = "1": expected to be of one endpoint, not of http://a and http://b',
    ]);
  });

  it.each([
    ['a number', 7, /^content = 7: expected \{ "endpoints"/],
    ['null', null, /^content = null: expected \{ "endpoints"/],
    ['an empty object', {}, /^content = \{\}: expected \{ "endpoints"/],
    ['an unknown key', { endpoint: [] }, /^endpoint: expected \{ "endpoints".*did you mean endpoints\?$/],
    ['two keys', { endpoints: [], services: {} }, /^content = .*: expected \{ "endpoints"/],
    ['an object of endpoints', { endpoints: {} }, /^endpoints = \{\}: expected a list of endpoints$/],
    ['no list', { endpoints: null }, /^endpoints = null: expected a list of endpoints$/],
  ])('is refused as %s', (_, content, expected) => {
    expect(problems(content)).toEqual([expect.stringMatching(expected)]);
  });

  it('keeps a message readable, however much is wrong', () => {
    const many = problems({ endpoints: Array.from({ length: 5_000 }, () => 'x'.repeat(1_000)) });
    expect(many).toHaveLength(21);
    expect(many.at(-1)).toBe('4980 more: expected the above to be right first');
    expect(Math.max(...many.map((line) => line.length))).toBeLessThan(300);
    expect(problems({ endpoints: { x: 'y'.repeat(1_000) } }).join('').length).toBeLessThan(200);
  });
});

describe('target groups', () => {
  it('are read with what their labels say', () => {
    const labels = {
      __scheme__: 'https',
      __meta_datacenter: 'eu',
      fairlead_weight: '2.5',
      fairlead_priority: '1',
      zone: 'a',
      version: '7',
    };
    const endpoints = read([
      { targets: ['10.0.0.5:8443', '[fd00::1]:8443', 'payments.prod'], labels },
      { targets: ['10.0.0.6:8080', 'https://b:1', 'unix:/run/p.sock'] },
    ]);
    expect(endpoints.map(({ origin }) => origin)).toEqual([
      'https://10.0.0.5:8443',
      'https://[fd00::1]:8443',
      'https://payments.prod',
      'http://10.0.0.6:8080',
      'https://b:1',
      'unix:/run/p.sock',
    ]);
    expect(endpoints[0]).toEqual({
      id: 'https://10.0.0.5:8443',
      origin: 'https://10.0.0.5:8443',
      weight: 2.5,
      zone: 'a',
      priority: 1,
      attributes: labels,
    });
    expect(endpoints[3]).toMatchObject({ weight: 1, zone: null, priority: 0, attributes: {} });
    const ours = { fairlead_scheme: 'http', __scheme__: 'gopher', fairlead_zone: 'b', zone: 'a' };
    expect(read([{ targets: ['a'], labels: ours }])[0]).toMatchObject({ origin: 'http://a', zone: 'b' });
    expect(read([{ targets: ['a'], labels: { zone: '' } }])[0]?.zone).toBe(null);
  });

  it('without targets are nobody, as generators in Go write it too', () => {
    for (const nobody of [[], [{ targets: [] }], [{ targets: null, labels: null }]]) {
      expect(read(nobody)).toEqual([]);
      expect(read([])).toEqual([]);
    }
    expect(read([], 'payments')).toEqual([]);
    expect(read([{ targets: [], labels: { job: 'payments' } }], 'payments')).toEqual([]);
  });

  it('belong to the service that a label names', () => {
    const groups = [
      { targets: ['a'], labels: { job: 'payments' } },
      { targets: ['b'], labels: { job: 'x', service: 'payments' } },
      { targets: ['c'], labels: { job: 'payments', service: 'ledger' } },
      { targets: ['d'], labels: { job: 'x', service: 'x', fairlead_service: 'payments' } },
      { targets: ['e'] },
    ];
    expect(origins(groups, 'payments')).toBe('a b d');
    expect(origins(groups, 'ledger')).toBe('c');
    expect(origins(groups)).toBe('a b c d e');
    expect(problems(groups, 'legder')).toEqual([
      '#legder: expected a group with the label fairlead_service or service or job; there are: payments, ledger; did you mean ledger?',
    ]);
    expect(problems([{ targets: ['e'] }], 'payments')).toEqual([expect.stringMatching(/there are: none$/)]);
  });

  it('say everything that is wrong, and where', () => {
    expect(
      problems([
        7,
        { target: ['a'] },
        { targets: 'a' },
        { targets: ['a'], labels: ['b'] },
        { targets: ['a'], labels: { weight: 2 } },
        {
          targets: ['a'],
          labels: { fairlead_scheme: 'ftp', fairlead_weight: '0', fairlead_priority: '', fairlead_wieght: '1' },
        },
        { targets: ['a', '', 7, 'b/c', 'd:99999'], labels: { fairlead_weight: ' ' } },
        { targets: ['b/c', 'd:99999', 'user:secret@e'] },
      ]),
    ).toEqual([
      '[0] = 7: expected a group such as { "targets": ["10.0.0.5:8080"], "labels": {} }',
      '[1] = {"target":["a"]}: expected a group such as { "targets": ["10.0.0.5:8080"], "labels": {} }',
      '[2] = {"targets":"a"}: expected a group such as { "targets": ["10.0.0.5:8080"], "labels": {} }',
      '[3].labels = ["b"]: expected an object of strings',
      '[4].labels.weight = 2: expected a string, as all labels',
      expect.stringMatching(/^\[5\]\.labels\.fairlead_wieght: expected one of .*; did you mean fairlead_weight\?$/),
      '[5].labels.fairlead_scheme = "ftp": expected http or https',
      '[5].labels.fairlead_weight = "0": expected a number above 0',
      '[5].labels.fairlead_priority = "": expected a whole number from 0',
      '[6].labels.fairlead_weight = " ": expected a number above 0',
      '[6].targets[1] = "": expected a host with a port, such as 10.0.0.5:8080',
      '[6].targets[2] = 7: expected a host with a port, such as 10.0.0.5:8080',
      expect.stringMatching(/^\[7\]\.targets\[0\] = "http:\/\/b\/c": expected an origin/),
      expect.stringMatching(/^\[7\]\.targets\[1\] = "http:\/\/d:99999": expected an origin/),
      expect.stringMatching(/^\[7\]\.targets\[2\] = "http:\/\/\*\*\*@e": expected an origin/),
    ]);
  });
});

describe('what is no JSON', () => {
  it.each([
    ['', 'content = "": expected JSON'],
    [' \n', 'content = "": expected JSON'],
    ['{ "endpoints": [\n  "http://a",\n] }', 'line 3, column 1 = "] }": expected JSON (Unexpected token \']\')'],
    ['{ "endpoints": ["http://a"', 'line 1, column 27: expected more: the JSON is cut off here'],
    ['{ "endpoints": ["http://a', 'line 1, column 26: expected more: the JSON is cut off here'],
    [
      '[{ "targets": ["a:1"] }\n{ "targets": [] }]',
      /^line 2, column 1 = "\{ "targets": \[\] \}\]": expected JSON \(.*\)$/,
    ],
    ["{ 'endpoints': [] }", /^line 1, column 3 = "'endpoints': \[\] \}": expected JSON \(.*\)$/],
    ['- targets: ["a:1"]\n', /^line 1, column \d = .*: expected JSON: YAML is not read$/],
    ['# who\n- targets:\n', 'line 1, column 1 = "# who": expected JSON: YAML is not read'],
    ['endpoints:\n  - http://a\n', 'line 1, column 1 = "endpoints:": expected JSON: YAML is not read'],
    ['<html>502</html>', 'line 1, column 1 = "<html>502</html>": expected JSON (Unexpected token \'<\')'],
  ])('is refused with its place: %j', (text, expected) => {
    const [problem, ...more] = problems(text).map((line) => line.replaceAll('\\"', '"'));
    if (typeof expected === 'string') expect(problem).toBe(expected);
    else expect(problem).toMatch(expected);
    expect(more).toEqual([]);
  });

  it('is bytes that are no text; a byte order mark is not in the way', () => {
    const where = 'a.json';
    expect(() => readDocument(new Uint8Array([0x5b, 0xff, 0x5d]), null, where)).toThrow(/encoding: expected UTF-8/);
    expect(() => readDocument(Buffer.from('[]', 'utf16le'), null, where)).toThrow(ConfigError);
    expect(readDocument(new Uint8Array([0xef, 0xbb, 0xbf, 0x5b, 0x5d]), null, where)).toEqual([]);
  });

  it('is told by its place, wherever a byte was broken', () => {
    const whole = JSON.stringify({ endpoints: ['http://a:1', { origin: 'http://b:2', weight: 2 }] }, null, 2);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: whole.length - 1 }), (at) => {
        // Right nowhere, in a string neither.
        const broken = `${whole.slice(0, at)}\u0001${whole.slice(at + 1)}`;
        const before = whole.slice(0, at).split('\n');
        expect(problems(broken)[0]).toContain(
          `line ${before.length}, column ${(before.at(-1) as string).length + 1} = `,
        );
      }),
    );
  });
});
