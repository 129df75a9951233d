// Catches: a load report that is misread, and anything that is not one but is taken for one: garbage, lies, novels.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readLoadReport } from './load-report.js';

describe('a load report', () => {
  it.each([
    [
      'TEXT cpu_utilization=0.333, mem_utilization=0, application_utilization=1.235, rps_fractional=1000',
      { utilization: 1.235, errorRatio: 0 },
    ],
    ['TEXT cpu_utilization=0.3', { utilization: 0.3, errorRatio: 0 }],
    // Other servers leave spaces out, and have names of their own.
    ['TEXT cpu_utilization:0.3,named_metrics.foo=7,eps=5,rps_fractional=20', { utilization: 0.3, errorRatio: 0.25 }],
    ['JSON {"cpu_utilization":0.3,"application_utilization":0.4}', { utilization: 0.4, errorRatio: 0 }],
    ['TEXT application_utilization=0, cpu_utilization=0.2', { utilization: 0.2, errorRatio: 0 }],
    ['TEXT application_utilization=0, cpu_utilization=0', { utilization: 0, errorRatio: 0 }],
    ['TEXT cpu_utilization=1e-2', { utilization: 0.01, errorRatio: 0 }],
    ['TEXT cpu_utilization=1e300', { utilization: 2, errorRatio: 0 }],
    ['TEXT cpu_utilization=0.5, eps=1e9, rps_fractional=1', { utilization: 0.5, errorRatio: 1 }],
    ['TEXT cpu_utilization=0.5, eps=-3, rps_fractional=1', { utilization: 0.5, errorRatio: 0 }],
  ])('is read: %s', (value, report) => {
    expect(readLoadReport(value)).toEqual(report);
  });

  it.each([
    undefined,
    '',
    'TEXT',
    'TEXT ',
    'text cpu_utilization=0.3',
    'BIN CgsJMzMzMzMz4z8=',
    'cpu_utilization=0.3',
    'TEXT mem_utilization=0.3, rps_fractional=10',
    'TEXT cpu_utilization=-0.3',
    'TEXT cpu_utilization=NaN',
    'TEXT cpu_utilization=Infinity',
    'TEXT cpu_utilization=0x10',
    'TEXT cpu_utilization=',
    'TEXT cpu_utilization',
    'TEXT cpu_utilization=0.3 or so',
    'JSON {"cpu_utilization":"0.3"}',
    'JSON {"cpu_utilization":0.3',
    'JSON null',
    'JSON [0.3]',
    'JSON {"__proto__":{"cpu_utilization":0.3}}',
    `TEXT cpu_utilization=0.3, ${'x'.repeat(10_000)}=1`,
  ])('is not what makes no sense: %j', (value) => {
    expect(readLoadReport(value)).toBeNull();
  });

  it('is not a header that came twice', () => {
    expect(readLoadReport(['TEXT cpu_utilization=0.3', 'TEXT cpu_utilization=0.4'])).toBeNull();
  });

  it('is in bounds whatever is said, or none', () => {
    const word = fc.constantFrom('cpu_utilization', 'application_utilization', 'eps', 'rps_fractional', '__proto__');
    const value = fc.oneof(fc.double().map(String), fc.string(), fc.bigInt().map(String));
    const text = fc
      .array(fc.tuple(word, value))
      .map((members) => `TEXT ${members.map((each) => each.join('=')).join(',')}`);
    const json = fc.json().map((each) => `JSON ${each}`);
    fc.assert(
      fc.property(fc.oneof(text, json, fc.string()), (header) => {
        const report = readLoadReport(header);
        if (report === null) return;
        expect(report.utilization).toBeGreaterThanOrEqual(0);
        expect(report.utilization).toBeLessThanOrEqual(2);
        expect(report.errorRatio).toBeGreaterThanOrEqual(0);
        expect(report.errorRatio).toBeLessThanOrEqual(1);
      }),
    );
  });
});
