// Would catch: a bad traceparent or tracestate let through, a good one refused, a state that is changed on its way, and
// anything that throws on what strangers send. The vectors follow what the W3C test suite asks for, levels 1 and 2.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatTraceparent, parseTraceparent, parseTracestate, traceContextOf } from './trace-context.js';

const id = '0af7651916cd43dd8448eb211c80319c';
const span = 'b7ad6b7169203331';
const good = `00-${id}-${span}-01`;

describe('parseTraceparent', () => {
  it('reads version 00', () => {
    expect(parseTraceparent(good)).toEqual({ traceId: id, parentId: span, flags: 1, state: null });
  });

  it.each([` ${good}`, `\t${good}`, `${good} `, `${good}\t`, `\t ${good} \t`])(
    'ignores whitespace around it: %j',
    (value) => {
      expect(parseTraceparent(value)?.traceId).toBe(id);
    },
  );

  it.each([
    ['00', 0],
    ['01', 1],
    ['02', 2],
    ['03', 3],
    ['ff', 3],
    ['fc', 0],
    ['05', 1],
  ])('keeps the two flags that have a meaning: %s', (text, flags) => {
    expect(parseTraceparent(`00-${id}-${span}-${text}`)?.flags).toBe(flags);
  });

  it.each([`cc-${id}-${span}-01`, `cc-${id}-${span}-01-and-more`, `01-${id}-${span}-01-`, `fe-${id}-${span}-01 `])(
    'reads the first four fields of a later version: %s',
    (value) => {
      expect(parseTraceparent(value)).toEqual({ traceId: id, parentId: span, flags: 1, state: null });
    },
  );

  it.each([
    ['empty', ''],
    ['version ff', `ff-${id}-${span}-01`],
    ['version of one digit', `0-${id}-${span}-01`],
    ['version of three digits', `000-${id}-${span}-01`],
    ['version of four digits', `0000-${id}-${span}-01`],
    ['version not hex', `.0-${id}-${span}-01`],
    ['version not hex, second', `0.-${id}-${span}-01`],
    ['version upper case', `CC-${id}-${span}-01`],
    ['trace id of zeros', `00-${'0'.repeat(32)}-${span}-01`],
    ['trace id too short', `00-${id.slice(1)}-${span}-01`],
    ['trace id too long', `00-${id}0-${span}-01`],
    ['trace id not hex', `00-.${id.slice(1)}-${span}-01`],
    ['trace id upper case', `00-${id.toUpperCase()}-${span}-01`],
    ['parent id of zeros', `00-${id}-${'0'.repeat(16)}-01`],
    ['parent id too short', `00-${id}-${span.slice(1)}-01`],
    ['parent id too long', `00-${id}-${span}0-01`],
    ['parent id not hex', `00-${id}-${span.slice(1)}.-01`],
    ['parent id upper case', `00-${id}-${span.toUpperCase()}-01`],
    ['flags too short', `00-${id}-${span}-1`],
    ['flags too long', `00-${id}-${span}-001`],
    ['flags not hex', `00-${id}-${span}-.0`],
    ['flags upper case', `00-${id}-${span}-0A`],
    ['no flags', `00-${id}-${span}`],
    ['more than version 00 has', `${good}-what-the-future-brings`],
    ['version 00 with a dash', `${good}-`],
    ['version 00 with a dot', `${good}.`],
    ['later version without a dash', `cc-${id}-${span}-01.x`],
    ['two of them joined', `${good}, ${good}`],
    ['two later ones joined', `cc-${id}-${span}-01, cc-${id}-${span}-01`],
    ['no-break space before', `\u00a0${good}`],
    ['line break after', `${good}\n`],
    ['space inside', `00-${id} -${span}-01`],
  ])('refuses: %s', (_, value) => {
    expect(parseTraceparent(value)).toBeNull();
  });

  it('reads what formatTraceparent writes', () => {
    const hex = (bytes: number) =>
      fc
        .uint8Array({ minLength: bytes, maxLength: bytes })
        .map((b) => Buffer.from(b).toString('hex'))
        .filter((h) => /[^0]/.test(h));
    fc.assert(
      fc.property(hex(16), hex(8), fc.integer({ min: 0, max: 3 }), (traceId, parentId, flags) => {
        expect(parseTraceparent(formatTraceparent(traceId, parentId, flags))).toEqual({
          traceId,
          parentId,
          flags,
          state: null,
        });
      }),
    );
  });

  it('never writes flags that have no meaning', () => {
    expect(formatTraceparent(id, span, 0xff)).toBe(`00-${id}-${span}-03`);
  });
});

describe('parseTracestate', () => {
  const vendor = 'abcdefghijklmnopqrstuvwxyz0123456789_-*/';
  const everyChar = Array.from({ length: 0x7f - 0x20 }, (_, i) => String.fromCharCode(0x20 + i))
    .filter((c) => c !== ',' && c !== '=')
    .join('');
  const list = (n: number) => Array.from({ length: n }, (_, i) => `k${i}=${i}`).join(',');

  it.each([
    ['one', 'a=1'],
    ['two', 'foo=1,bar=2'],
    ['a key twice', 'foo=1,foo=2'],
    ['whitespace between members', 'foo=1 \t , \t bar=2,\t baz=3'],
    ['empty members', 'foo=1,,bar=2, ,baz=3'],
    ['every character of a key', `${vendor}=1`],
    ['every character of a value', `a=${everyChar}`],
    ['key of a tenant', 'tenant@system=1'],
    ['key that begins with a digit', '0tenant@system=1'],
    ['key with at signs anywhere but first', 'foo@=1,foo@@bar=2,foo@bar@baz=3'],
    ['longest key', `${'z'.repeat(256)}=1`],
    ['longest tenant', `${'t'.repeat(242)}@v=1`],
    ['longest value', `a=${'v'.repeat(256)}`],
    ['value that begins with spaces', 'a=  1'],
    ['32 members', list(32)],
  ])('passes on unchanged: %s', (_, value) => {
    expect(parseTracestate(value)).toBe(value);
  });

  it.each([' foo=1', '\tfoo=1', 'foo=1 ', 'foo=1\t', '\t foo=1 \t'])('takes off whitespace around it: %j', (value) => {
    expect(parseTracestate(value)).toBe('foo=1');
  });

  it.each([
    ['nothing', ''],
    ['only whitespace and commas', ' ,\t, '],
    ['no equals sign', 'foo'],
    ['space in a key', 'foo =1'],
    ['upper case key', 'FOO=1'],
    ['dot in a key', 'foo.bar=1'],
    ['key that begins with an at sign', '@foo=1,bar=2'],
    ['key that begins with an underscore', '_foo=1'],
    ['no key', '=1'],
    ['key too long', `foo=1,${'z'.repeat(257)}=1`],
    ['no value', 'foo=,bar=3'],
    ['equals sign in a value', 'foo=bar=baz'],
    ['value too long', `a=${'v'.repeat(257)}`],
    ['value not ASCII', 'a=\u00e9'],
    ['tab in a value', 'a=1\t2'],
    ['line break', 'a=1\r\nx: y'],
    ['33 members', list(33)],
  ])('drops as a whole: %s', (_, value) => {
    expect(parseTracestate(value)).toBeNull();
  });

  it('takes linear time for a value of whitespace', () => {
    // Quadratic time would make this take minutes, and so the test time out.
    expect(parseTracestate(`a${' '.repeat(2_000_000)}b`)).toBeNull();
  });
});

describe('traceContextOf', () => {
  it('reads both headers', () => {
    expect(traceContextOf(['host', 'x', 'traceparent', good, 'tracestate', 'a=1'])).toEqual({
      traceId: id,
      parentId: span,
      flags: 1,
      state: 'a=1',
    });
  });

  it('joins several tracestate headers in order, empty ones left out', () => {
    const headers = ['tracestate', 'a=1,b=2', 'traceparent', good, 'tracestate', '', 'tracestate', 'c=3'];
    expect(traceContextOf(headers)?.state).toBe('a=1,b=2,c=3');
  });

  it('counts members over all tracestate headers', () => {
    const many = Array.from({ length: 33 }, (_, i) => ['tracestate', `k${i}=1`]).flat();
    expect(traceContextOf(['traceparent', good, ...many])).toMatchObject({ traceId: id, state: null });
    expect(traceContextOf(['traceparent', good, ...many.slice(2)])?.state).toMatch(/^k1=1,.*,k32=1$/);
  });

  it.each([
    ['no traceparent', ['tracestate', 'a=1']],
    ['an invalid traceparent', ['traceparent', 'nonsense', 'tracestate', 'a=1']],
    ['two traceparents', ['traceparent', good, 'traceparent', good]],
    ['an empty and a good one', ['traceparent', '', 'traceparent', good]],
    ['a wrong name', ['trace-parent', good, 'trace.parent', good]],
  ])('finds nothing with %s', (_, headers) => {
    expect(traceContextOf(headers)).toBeNull();
  });

  it('leaves out only the tracestate if that is what is invalid', () => {
    expect(traceContextOf(['traceparent', good, 'tracestate', 'A=1'])).toMatchObject({ traceId: id, state: null });
  });

  it('never throws, and lets nothing through that it would not read again', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[0-9a-f-]{40,60}$/), fc.constant(good));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('traceparent', 'tracestate', 'x'), text)), (pairs) => {
        const context = traceContextOf(pairs.flat());
        if (context === null) return;
        const again = ['traceparent', formatTraceparent(context.traceId, context.parentId, context.flags)];
        if (context.state !== null) again.push('tracestate', context.state);
        expect(traceContextOf(again)).toEqual(context);
      }),
      { numRuns: 2000 },
    );
  });
});
