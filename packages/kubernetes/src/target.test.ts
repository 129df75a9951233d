/** Would catch: a source that is misread, or refused without saying what is wrong with it. */
import { ConfigError } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { parseTarget } from './target.js';

function problemsOf(text: string): ConfigError['problems'] {
  try {
    parseTarget(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
  }
  return [];
}

describe('parseTarget', () => {
  it.each([
    ['kubernetes://payments.prod:http', { service: 'payments', namespace: 'prod', port: 'http', context: null }],
    ['kubernetes://payments.prod:8080', { service: 'payments', namespace: 'prod', port: 8080, context: null }],
    ['kubernetes://payments:http', { service: 'payments', namespace: null, port: 'http', context: null }],
    ['Kubernetes://p2.n-1:http-2/', { service: 'p2', namespace: 'n-1', port: 'http-2', context: null }],
    [`kubernetes://${'a'.repeat(63)}:1`, { service: 'a'.repeat(63), namespace: null, port: 1, context: null }],
    ['kubernetes://payments.prod', { service: 'payments', namespace: 'prod', port: null, context: null }],
    ['kubernetes://payments', { service: 'payments', namespace: null, port: null, context: null }],
    ['kubernetes://a.b:c?context=kind-dev', { service: 'a', namespace: 'b', port: 'c', context: 'kind-dev' }],
    [
      'kubernetes://a/?context=arn%3Aaws%2Fx%20y',
      { service: 'a', namespace: null, port: null, context: 'arn:aws/x y' },
    ],
    [
      'kubernetes://a.b:1?spreadMs=5000&family=6',
      { service: 'a', namespace: 'b', port: 1, context: null, spreadMs: 5_000, family: 6 },
    ],
    [
      'kubernetes://a.b:80?externalName=dns',
      { service: 'a', namespace: 'b', port: 80, context: null, externalName: 'dns' },
    ],
  ])('reads %s', (text, target) => expect(parseTarget(text)).toEqual(target));

  it.each([
    ['kubernetes://payments.prod:', ['port']],
    ['kubernetes://payments.prod:0', ['port']],
    ['kubernetes://payments.prod:65536', ['port']],
    ['kubernetes://payments.prod:ht_tp', ['port']],
    ['kubernetes://Payments.prod:http', ['service']],
    [`kubernetes://${'a'.repeat(64)}:http`, ['service']],
    ['kubernetes://pay%2Fments.prod:http', ['service']],
    ['kubernetes://-.pro&d:99999', ['service', 'namespace', 'port']],
    ['kubernetes://payments..:http', ['namespace', 'source']],
    ['kubernetes://user@payments.prod:http', ['source']],
    ['kubernetes://payments.prod:http/path', ['source']],
    ['kubernetes://payments.prod:http?x=1', ['x']],
    ['kubernetes://payments.prod:http?context=', ['context']],
    ['kubernetes://payments.prod:http?spreadMs=0&family=5', ['spreadMs', 'family']],
    ['kubernetes://payments.prod:http?spreadMs=5s&toString=1', ['spreadMs', 'toString']],
    ['kubernetes://payments.prod:http?context=a&context=b&contxt=c', ['context', 'contxt']],
    ['kubernetes://payments.prod:http?context=a#b', ['source']],
    ['kubernetes://payments.prod:80?externalName=yes', ['externalName']],
    ['kubernetes:payments', ['source']],
    ['http://payments', ['source']],
    ['', ['source']],
  ])('refuses %s', (text, names) => expect(problemsOf(text).map(({ name }) => name)).toEqual(names));

  it('guesses what a DNS name was meant to be', () => {
    const [problem] = problemsOf('kubernetes://payments.prod.svc.cluster.local:http');
    expect(problem?.didYouMean).toBe('kubernetes://payments.prod:http');
  });
});
