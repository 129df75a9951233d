/** Catches a package that changes the built-in fetch by being imported. Child processes, because it cannot be undone in one. */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { loadUndici } from './undici.js';

const run = promisify(execFile);

/** What a process sees that loads undici in one of the two ways, before or after its first use of fetch. */
const script = (way: 'parts' | 'index', first: 'fetch' | 'load'): string => `
  import { createServer } from 'node:http';
  import { createRequire } from 'node:module';
  const symbol = Symbol.for('undici.globalDispatcher.1');
  const server = createServer((request, response) => request.pipe(response)).listen(0, '127.0.0.1', async () => {
    const url = 'http://127.0.0.1:' + server.address().port;
    const post = async () => (await fetch(url, { method: 'POST', body: 'abc', headers: { 'content-length': '3' } })).text();
    if (${first === 'fetch'}) await post();
    const before = globalThis[symbol];
    const load = createRequire(${JSON.stringify(import.meta.url)});
    const { loadUndici } = await import(${JSON.stringify(new URL('./undici.ts', import.meta.url).href)});
    if (${way === 'index'}) loadUndici((path) => { if (path !== 'undici') throw new Error('no such path'); return load(path); });
    const untouched = globalThis[symbol];
    const text = await post().catch((error) => String(error.cause));
    const builtIn = process.versions.node.startsWith('26') || !globalThis[symbol] || globalThis[symbol].constructor.name === 'Agent';
    console.log(JSON.stringify({ text, same: before === undefined || before === untouched, builtIn }));
    server.closeAllConnections();
    server.close();
  });
`;

async function inChild(way: 'parts' | 'index', first: 'fetch' | 'load'): Promise<unknown> {
  const args = ['--experimental-strip-types', '--no-warnings', '--input-type=module', '-e', script(way, first)];
  const { stdout } = await run(process.execPath, args, { cwd: fileURLToPath(new URL('.', import.meta.url)) });
  return JSON.parse(stdout);
}

describe('loading undici', () => {
  it.each([
    ['parts', 'load'],
    ['parts', 'fetch'],
    ['index', 'load'],
    ['index', 'fetch'],
  ] as const)('by its %s leaves the built-in fetch alone, %s first', async (way, first) => {
    expect(await inChild(way, first)).toEqual({ text: 'abc', same: true, builtIn: true });
  });

  it('falls back to the index', () => {
    const asked: string[] = [];
    const require = createRequire(import.meta.url);
    const parts = loadUndici((path) => {
      asked.push(path);
      if (path !== 'undici') throw new Error('no such path');
      return require(path);
    });
    expect(asked).toEqual(['undici/lib/dispatcher/client.js', 'undici']);
    expect(Object.values(parts).map((part) => typeof part)).toEqual(['function', 'function']);
  });

  it('puts back what the index replaces, whatever the version of Node', () => {
    const globals = globalThis as unknown as Record<symbol, unknown>;
    const symbol = Symbol.for('undici.globalDispatcher.1');
    void globalThis.Headers;
    const before = globals[symbol];
    expect(before).toBeDefined();
    try {
      loadUndici((path) => {
        if (path !== 'undici') throw new Error('no such path');
        globals[symbol] = 'another';
        return {};
      });
      expect(globals[symbol]).toBe(before);
    } finally {
      globals[symbol] = before;
    }
  });
});
