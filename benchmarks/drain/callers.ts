/** @module Four kinds of callers that keep their connections, each of them many at a time, one request after the other. */
import { spawn } from 'node:child_process';
import { Agent, get } from 'node:http';
import type { Client } from 'fairlead';

/** What became of a caller's requests. */
export interface Tally {
  requests: number;
  failed: number;
  /** How they failed, and how often. */
  readonly how: Record<string, number>;
}

/** A caller at work. */
export interface Caller {
  readonly name: string;
  /** Ends when the requests that are under way have ended. */
  stop(): Promise<Tally>;
}

const WIDTH = 16;
const PATH = '/orders/42';

/** Calls again and again; what is not a 200, read whole, has failed. */
function repeat(name: string, call: () => Promise<number>, end: () => void = () => {}): Caller {
  const tally: Tally = { requests: 0, failed: 0, how: {} };
  let stopped = false;
  const worker = async (): Promise<void> => {
    while (!stopped) {
      tally.requests++;
      const how = await call().then(
        (status) => (status === 200 ? null : String(status)),
        (error: { code?: string; cause?: { code?: string } }) => error.cause?.code ?? error.code ?? String(error),
      );
      if (how === null) continue;
      tally.failed++;
      tally.how[how] = (tally.how[how] ?? 0) + 1;
      // Whoever is refused at once would otherwise do nothing else.
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const workers = Promise.all(Array.from({ length: WIDTH }, worker));
  return {
    name,
    stop: async () => {
      stopped = true;
      await workers;
      end();
      return tally;
    },
  };
}

export function fairlead(client: Client): Caller {
  return repeat('Fairlead', async () => {
    const response = await client.fetch(`http://orders${PATH}`);
    await response.arrayBuffer();
    return response.status;
  });
}

export function builtInFetch(port: number): Caller {
  return repeat('built-in fetch', async () => {
    const response = await fetch(`http://127.0.0.1:${port}${PATH}`);
    await response.arrayBuffer();
    return response.status;
  });
}

export function httpAgent(port: number): Caller {
  const agent = new Agent({ keepAlive: true });
  const call = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const request = get({ port, host: '127.0.0.1', path: PATH, agent }, (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
        response.on('error', reject);
      });
      request.on('error', reject);
    });
  return repeat('http.Agent', call, () => agent.destroy());
}

/** Null if wrk is not installed. It runs for as long as it was told to before it can be stopped. */
export function wrk(port: number, seconds: number): Caller | null {
  const child = spawn('wrk', ['-t1', `-c${WIDTH}`, `-d${seconds}s`, `http://127.0.0.1:${port}${PATH}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (chunk) => void (said += chunk));
  const ended = new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(false));
    child.once('close', () => resolve(true));
  });
  if (child.pid === undefined) {
    child.once('error', () => {});
    return null;
  }
  return {
    name: 'wrk',
    stop: async () => {
      // It tells what it has counted also when it is interrupted.
      child.kill('SIGINT');
      await ended;
      return readWrk(said);
    },
  };
}

/** `Socket errors: connect 0, read 1, write 0, timeout 0` and `Non-2xx or 3xx responses: 2`, lines that come only if there were any. */
function readWrk(said: string): Tally {
  const how: Record<string, number> = {};
  const [, errors = ''] = /Socket errors: (.*)/.exec(said) ?? [];
  for (const [, kind, count] of errors.matchAll(/(\w+) (\d+)/g))
    if (Number(count) > 0) how[kind as string] = Number(count);
  const [, statuses] = /Non-2xx or 3xx responses: (\d+)/.exec(said) ?? [];
  if (statuses !== undefined) how.status = Number(statuses);
  const [, requests] = /(\d+) requests in/.exec(said) ?? [];
  if (requests === undefined) throw new Error(`wrk said:\n${said}`);
  return { requests: Number(requests), failed: Object.values(how).reduce((sum, n) => sum + n, 0), how };
}
