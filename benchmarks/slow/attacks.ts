/** @module The attacks of slowhttptest: each opens many connections and is as slow as it can be. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

export interface Attack {
  readonly name: string;
  readonly args: (origin: string) => readonly string[];
}

export const attacks: readonly Attack[] = [
  { name: 'slow headers', args: (origin) => ['-H', '-i', '1', '-u', origin] },
  { name: 'slow bodies', args: (origin) => ['-B', '-i', '1', '-s', '8192', '-u', origin] },
  // It asks for large answers, announces a tiny window, and takes a few bytes every now and then.
  {
    name: 'slow reading',
    args: (origin) => ['-X', '-n', '5', '-z', '32', '-w', '512', '-y', '1024', '-k', '3', '-u', `${origin}/large`],
  },
];

export function isInstalled(): boolean {
  return spawnSync('slowhttptest', ['-h'], { stdio: 'ignore' }).error === undefined;
}

/** Attacks with so many connections, opened within two seconds, for `seconds`. */
export function begin({ args }: Attack, origin: string, connections: number, seconds: number): ChildProcess {
  const common = [
    '-c',
    String(connections),
    '-r',
    String(connections / 2),
    '-l',
    String(seconds),
    '-p',
    '3',
    '-x',
    '24',
  ];
  const child = spawn('slowhttptest', [...common, ...args(origin)], { stdio: 'ignore' });
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}
