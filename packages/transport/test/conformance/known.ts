/**
 * @module Where our fetch and the built-in one differ, on purpose or for good. The table of docs/fetch.md has the same rows
 * with the reasons. A difference that is not here fails the test, and so does one that is here and cannot be seen any more.
 */
import type { Difference } from './plain.js';

/** A difference that is known. */
export interface Known {
  /** The first cell of its row in docs/fetch.md. */
  readonly row: string;
  /** The subjects that show it: each of them, unless `some` says that a few will do. */
  readonly subjects: RegExp;
  /** Where in what was seen. */
  readonly at: RegExp;
  /** What each let see, where that is not too long or too various to be told. */
  readonly theirs?: unknown;
  readonly ours?: unknown;
  /** Whether two values differ in the way that is meant; default: any way. */
  readonly when?: (theirs: unknown, ours: unknown) => boolean;
  readonly some?: boolean;
  /** The major versions of Node whose built-in fetch differs; default all. */
  readonly nodes?: readonly number[];
}

const anywhere = /./;
const instead = /^(result|sent\.0)$/;

/** A header of every request. */
const always = (name: string, theirs: string, ours?: string): Known => {
  return {
    row: 'Default headers',
    subjects: anywhere,
    at: new RegExp(`^sent\\.\\d+\\.headers\\.${name}$`),
    theirs,
    ours,
    some: true,
  };
};

/** The names of subjects, each of them whole. */
const named = (...names: string[]): RegExp =>
  new RegExp(`^(${names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})$`);

const wrapped = /^(TransportError ERR_TRANSPORT|CanceledError ERR_CANCELED|ConfigError ERR_CONFIG) < /;

export const known: readonly Known[] = [
  always('user-agent', 'node', 'fairlead'),
  always('accept-language', '*'),
  always('sec-fetch-mode', 'cors'),
  always('accept-encoding', 'gzip, deflate', 'gzip, deflate, br'),
  { row: 'Default headers', subjects: /^header( with POST)?: sec-fetch-mode$/, at: /sec-fetch-mode$/, theirs: 'cors' },
  {
    // Sent to hosts that can be trusted, and to Node 26 a name is none.
    row: 'Default headers',
    subjects: named('options: mode no-cors'),
    at: /sec-fetch-mode$/,
    ours: undefined,
    nodes: [26],
  },
  { row: 'Default headers', subjects: named('options: mode same-origin'), at: /sec-fetch-mode$/, ours: undefined },

  {
    row: 'The connection of a redirect',
    subjects: named('redirect: to a server that hangs up'),
    at: /^sent\.2$/,
    theirs: undefined,
  },
  {
    row: 'The connection of a redirect',
    subjects: named('connection: is kept after a redirect'),
    at: /^result$/,
    theirs: 'not kept',
    ours: 'kept',
  },

  { row: 'Names of headers', subjects: named('case and order of header names'), at: /^result\.\d$/ },
  {
    row: 'Names of headers',
    subjects: named('headers: Headers with cookies'),
    at: /set-cookie$/,
    theirs: 'a, b',
    ours: 'a | b',
  },

  {
    row: 'Headers of one connection',
    subjects: /^header( with POST)?: (te|proxy-connection|proxy-authorization|proxy-authenticate|trailer)$/,
    at: /^sent\.0\.headers\./,
    ours: undefined,
  },
  {
    row: 'Headers of one connection',
    subjects: /^header( with POST)?: (expect|keep-alive|transfer-encoding|upgrade)$/,
    at: instead,
  },
  {
    row: 'Headers of one connection',
    subjects: named('header with POST: connection'),
    at: /connection$/,
    theirs: 'close',
    ours: 'keep-alive',
  },
  { row: 'Headers of one connection', subjects: named('header: connection'), at: instead, nodes: [22] },
  {
    row: 'Headers of one connection',
    subjects: /^redirect: (strips|keeps) credentials for/,
    at: /headers\.proxy-authorization$/,
    theirs: 'p',
    ours: undefined,
  },
  { row: '`host`', subjects: /^header( with POST)?: host$/, at: /headers\.host$/, theirs: 'A' },
  {
    row: '`host`',
    subjects: /^redirect: (strips|keeps) credentials for/,
    at: /headers\.host$/,
    theirs: 'A',
    ours: 'h.example',
  },

  {
    row: 'Options for browsers',
    subjects: /^(header( with POST)?: (if-none-match|if-modified-since)|options: cache no-store)$/,
    at: /headers\.(pragma|cache-control)$/,
    theirs: 'no-cache',
    ours: undefined,
  },
  { row: 'Options for browsers', subjects: anywhere, at: /^result\.type$/, theirs: 'cors', ours: 'basic', some: true },
  {
    row: '`duplex`, and options of the wrong type',
    subjects: named(
      ...['a stream without duplex', 'an async iterable without duplex', 'a stream with duplex: full'],
      ...[
        'text with duplex: full',
        'a stream with keepalive',
        'headers: null',
        'headers: a symbol as a name',
        'options: text',
      ],
    ),
    at: instead,
  },

  {
    row: 'A path that begins with `//`',
    subjects: named('URL: an empty first segment', 'URL: a backslash for a first segment'),
    at: instead,
  },
  { row: 'Shared and resizable buffers', subjects: named('body: a resizable ArrayBuffer'), at: instead, nodes: [22] },
  { row: 'Shared and resizable buffers', subjects: /SharedArrayBuffer$/, at: /^sent\.0\./, nodes: [24, 26] },
  { row: 'Shared and resizable buffers', subjects: named('body: a SharedArrayBuffer'), at: /^sent\.0\./, nodes: [22] },
  {
    row: 'Shared and resizable buffers',
    subjects: named('body: a view of a SharedArrayBuffer'),
    at: instead,
    nodes: [22],
  },
  {
    row: 'Bytes that change while they are sent',
    subjects: named('many bytes, written to after the call'),
    at: /^result$/,
    theirs: 'a',
    ours: 'b',
  },
  {
    row: 'The body of a `Request`',
    subjects:
      /^(Request: (with a (body|form|null body over it)|with an undefined body|used twice|a clone|with another method|with other headers|with undefined|of a subclass)|redirect: a Request with a body)/,
    at: /^sent\.\d\.headers\.(content-length|transfer-encoding)$/,
  },
  { row: 'The body of a `Request`', subjects: named('redirect: a Request with a body'), at: /^(result|sent\.1)$/ },

  {
    row: '`cause`',
    subjects: anywhere,
    at: /cause$/,
    when: (theirs, ours) => typeof ours === 'string' && ours.replace(wrapped, '') === theirs,
    some: true,
  },
  {
    row: '`cause`',
    subjects: named('broken body: a stream that fails with no Error'),
    at: /cause$/,
    theirs: 'Error',
    ours: 'CanceledError ERR_CANCELED < text',
  },
  { row: '`cause`', subjects: /^redirect: to credentials/, at: /cause$/, theirs: 'Error', ours: 'TypeError' },
  {
    row: '`cause`',
    subjects: named('wire: bare line feeds', 'wire: a status of two digits'),
    at: /cause$/,
    nodes: [22],
  },
  {
    row: 'Words of errors',
    subjects: named(
      ...['body: a symbol', 'URL: credentials', 'URL: a user'],
      ...['options: redirect unknown', 'options: redirect null', 'options: signal that is none'],
    ),
    at: /message$/,
  },
  {
    row: 'A wrong `content-length`',
    subjects: named('text with a content-length that is too short'),
    at: /^result$/,
    theirs: 'does not end',
  },

  { row: 'Status 407 and 421', subjects: named('status 407'), at: /^result$/ },
  { row: 'Status 407 and 421', subjects: named('status 421'), at: /^sent\.1$/, ours: undefined },
  { row: 'Many codings', subjects: named('coding: six'), at: /^result$/, ours: 'a response: 200' },
  { row: 'zstd', subjects: named('coding: zstd', 'coding as a stream: zstd'), at: /^result/, nodes: [22] },

  {
    row: 'Abort after the last byte',
    subjects: /^abort: after a whole body has come/,
    at: /^result$/,
    theirs: 'the reason',
    ours: 'the body',
  },
  {
    row: 'The reason of an abort',
    subjects: named('abort: within the body, null', 'abort: within the body, 0'),
    at: /^result\.0\.(error|same)$/,
  },
  {
    row: 'The reason of an abort',
    subjects: /^abort: after the head and before (text|json|arrayBuffer|blob|formData|clone)$/,
    at: /^result\.0\.(error\.message|same)$/,
    nodes: [22],
  },
  {
    row: 'Abort of an upload',
    subjects: named('abort: while a body is being sent'),
    at: /^result\.1$/,
    theirs: false,
    ours: true,
  },
  { row: 'Brands', subjects: /^headers object: a method of Headers.prototype$/, at: /^result$/ },
  { row: '`headers` of a copy', subjects: named('headers object: of a clone'), at: /^result\.1$/ },
  { row: 'Brands', subjects: named('object: structuredClone'), at: /^result$/ },
  { row: 'Brands', subjects: /the getter of url$/, at: /^result\.1$/, ours: '' },
  { row: 'Brands', subjects: named('object: real one: its own properties'), at: /^result\.\d$/, theirs: undefined },

  // Where the built-in fetch is not what the standard or the other versions of Node say.
  { row: 'Not as the standard says', subjects: named('form: an empty file'), at: /^sent\.0\./ },
  {
    row: 'Not as the standard says',
    subjects: named('URL: an empty query and fragment'),
    at: /path$/,
    theirs: '/x',
    ours: '/x?',
  },
  {
    row: 'Not as the standard says',
    subjects: named('URL: an empty query'),
    at: /path$/,
    theirs: '/x',
    ours: '/x?',
    nodes: [22],
  },
  {
    row: 'Not as the standard says',
    subjects: /^redirect: 30[78]( elsewhere)? with a form$/,
    at: /content-type$/,
    nodes: [22, 24],
  },
  { row: 'Not as the standard says', subjects: named('redirect: to blanks around it'), at: /^(result|sent\.1)$/ },
  { row: 'Not as the standard says', subjects: named('headers: names that are not enumerable'), at: /headers\.a$/ },
  { row: 'Not as the standard says', subjects: /^two byte order marks, read as (text|json)$/, at: /^result\.first$/ },
  { row: 'Not as the standard says', subjects: named('reply headers: blanks around values'), at: /^result\./ },
  { row: 'Not as the standard says', subjects: named('coding: an empty name in a list'), at: /^result\./ },
  {
    row: 'Not as the standard says',
    subjects: named('coding: identity beside another'),
    at: /^result\.text$/,
    ours: 'abc',
  },
  {
    row: 'Not as the standard says',
    subjects: named('coding: an empty body as zstd'),
    at: /^result\.text$/,
    ours: '',
    nodes: [24, 26],
  },
  { row: 'Not as the standard says', subjects: named('body: a detached ArrayBuffer'), at: instead, nodes: [22] },
  {
    row: 'Not as the standard says',
    subjects: /^redirect: 30[1278]( elsewhere)? with bytes$/,
    at: /^(result|sent\.1)$/,
    nodes: [22],
  },
  {
    row: 'Not as the standard says',
    subjects: named('wire: a folded header', 'wire: a header name with a blank'),
    at: /^result$/,
    nodes: [22],
  },
  {
    row: 'Not as the standard says',
    subjects: named('abort: within the body, read as clone'),
    at: /^result\.1$/,
    nodes: [22],
  },
  { row: 'Not as the standard says', subjects: named('method: "query"'), at: /^sent\.0\./, nodes: [26] },
];

const node = Number.parseInt(process.versions.node, 10);

/** The known differences that the built-in fetch of this Node shows. */
export const knownHere: readonly Known[] = known.filter(({ nodes }) => nodes === undefined || nodes.includes(node));

/** Whether `entry` says that `subject` differs there and so. */
export function explains(entry: Known, subject: string, { at, theirs, ours }: Difference): boolean {
  return (
    entry.subjects.test(subject) &&
    entry.at.test(at) &&
    (!('theirs' in entry) || entry.theirs === theirs) &&
    (!('ours' in entry) || entry.ours === ours) &&
    (entry.when === undefined || entry.when(theirs, ours))
  );
}
