// Catches: sources that are read as something else than they say, and bad ones that pass or are reported without a hint.
import { type Endpoint, type Resolver, type ResolverUpdate, Scope } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { resolverOf } from './source.js';

function told(resolver: Resolver): readonly string[] {
  const clock = new VirtualClock();
  const updates: ResolverUpdate[] = [];
  resolver.watch((update) => updates.push(update), new Scope(clock), { clock });
  return (updates[0] as { endpoints: readonly Endpoint[] }).endpoints.map((endpoint) => endpoint.origin);
}

describe('resolverOf', () => {
  it('reads lists of origins, with commas or as a list', () => {
    const both = ['http://10.0.0.5:8080', 'https://b'];
    expect(told(resolverOf('http://10.0.0.5:8080'))).toEqual(['http://10.0.0.5:8080']);
    expect(told(resolverOf(' http://10.0.0.5:8080 , https://b,'))).toEqual(both);
    expect(told(resolverOf(both))).toEqual(both);
    expect(told(resolverOf(['http://a,http://b', 'http://c']))).toEqual(['http://a', 'http://b', 'http://c']);
    expect(told(resolverOf('http://[::1]:80'))).toEqual(['http://[::1]']);
    expect(told(resolverOf('HTTP://A:81'))).toEqual(['http://a:81']);
  });

  it('reads Unix sockets, alone and in lists', () => {
    expect(told(resolverOf('unix:/run/payments.sock'))).toEqual(['unix:/run/payments.sock']);
    expect(resolverOf('unix:/run/payments.sock').name).toBe('unix:/run/payments.sock');
    expect(told(resolverOf('unix:///run/a.sock, http://b'))).toEqual(['unix:/run/a.sock', 'http://b']);
    expect(told(resolverOf('http+unix://%2Frun%2Fa%2Cb.sock'))).toEqual(['unix:/run/a,b.sock']);
    expect(told(resolverOf(['UNIX:/a', 'unix:/b']))).toEqual(['unix:/a', 'unix:/b']);
  });

  it('reads the names of DNS', () => {
    expect(resolverOf('dns://payments.prod:8080').name).toBe('dns://payments.prod:8080');
    expect(resolverOf('dns://payments').name).toBe('dns://payments:80');
    expect(resolverOf('dns+https://payments').name).toBe('dns://payments:443');
    expect(resolverOf('dns+srv://_http._tcp.payments.prod.').name).toBe('dns+srv://_http._tcp.payments.prod.');
    expect(told(resolverOf('dns://127.0.0.1:8080'))).toEqual(['http://127.0.0.1:8080']);
    expect(told(resolverOf('dns+https://[::1]:8443/'))).toEqual(['https://[::1]:8443']);
  });

  it('reads several with | between them as those that stand in for one another', () => {
    const both = resolverOf('http://10.0.0.5:8080,http://b | http://c');
    expect(both.name).toBe('http://10.0.0.5:8080,http://b | http://c');
    expect(told(both)).toEqual(['http://10.0.0.5:8080', 'http://b', 'http://c']);
    expect(resolverOf(['http://a', 'http://b|dns://c:80']).name).toBe('http://a,http://b | dns://c:80');
    const wrong = () => resolverOf('dn://a | dns://b | nobody', { name: 'FAIRLEAD_SERVICE_PAYMENTS' });
    expect(wrong).toThrow(/2 problems[\s\S]*did you mean dns:\/\/a\?[\s\S]*http:\/\/nobody/);
    expect(() => resolverOf('http://a |')).toThrow('expected a source');
  });

  it('knows the schemes it is told of', () => {
    const given: string[] = [];
    const kubernetes = (source: string): Resolver => {
      given.push(source);
      return { name: source, watch() {} };
    };
    expect(resolverOf('kubernetes://payments.prod:http', { schemes: { kubernetes } }).name).toBe(
      'kubernetes://payments.prod:http',
    );
    expect(given).toEqual(['kubernetes://payments.prod:http']);
  });

  it.each([
    ['dn://payments:80', 'did you mean dns://payments:80?'],
    ['kubernets://a.b:http', 'did you mean kubernetes://a.b:http?'],
    ['payments:8080', 'did you mean http://payments:8080?'],
    ['redis://a', 'expected a source: http://, https://, dns://, dns+http://, dns+https://, dns+srv://, kubernetes://'],
    ['constructor://a', 'expected a source'],
    ['', 'expected a source'],
    [' , ', 'expected a source'],
    [[], 'expected a source'],
    [undefined, 'expected a source'],
    ['http://a/path', 'expected an origin'],
    ['http://user:secret@a', 'expected an origin'],
    ['dns://10.0.0.2:53/payments:80', 'expected dns://name:port'],
    ['dns://payments:http', 'expected dns://name:port'],
    ['dns://', 'expected dns://name:port'],
    ['dns://payments:70000', 'expected a whole number from 1 to 65535'],
    ['dns+srv://_http._tcp.payments:80', 'expected dns+srv://name'],
    ['dns://a:80,dns://b:80', 'expected to stand alone'],
    ['unix:/', 'expected an origin'],
    ['unix:run/a.sock', 'expected a source'],
    ['http+unix:///run/a.sock', 'expected an origin'],
    ['unx://run/a.sock', 'did you mean unix://run/a.sock?'],
  ])('refuses %j', (source, message) => {
    const schemes = { kubernetes: (name: string): Resolver => ({ name, watch() {} }) };
    const read = () => resolverOf(source as string, { name: 'FAIRLEAD_SERVICE_PAYMENTS', schemes });
    expect(read).toThrow(message);
    expect(read).toThrow('FAIRLEAD_SERVICE_PAYMENTS');
  });

  it('shows no credentials in its messages', () => {
    for (const source of ['http://user:secret@a', 'htp://user:secret@a:1', 'user:secret@a', 'dns://user:secret@a:1']) {
      expect(() => resolverOf(source)).not.toThrow(/secret/);
      expect(() => resolverOf(source)).toThrow(/\*\*\*@a/);
    }
  });

  it('reports all that is wrong with a list', () => {
    expect(() => resolverOf(['nobody', 'htpt://b', 'http://ok'])).toThrow(/2 problems/);
    expect(() => resolverOf(['http://a/b', 'http://c?d'])).toThrow(/2 problems/);
  });
});
