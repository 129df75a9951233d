/**
 * @module The source of endpoints is away for a minute, under load: the API server of Kubernetes gone or frozen, also in the
 * middle of a rolling update; the DNS server gone or silent; garbage in the place of a file. Every replica, application,
 * API server and DNS server is a process of its own. Not one call may fail, and what changed meanwhile has to be known soon
 * after. All scenarios run at the same time: it takes 80 s.
 *
 * `npm run bench -- outage`; `-- outage 5` takes the sources away for 5 s only, and writes no results.
 */
import { sleep, systemClock } from 'fairlead';
import { check, type Row, round, save } from './measure.ts';
import { Application, type Replica, startReplicas, stopReplica, type Told } from './outage/processes.ts';
import { DnsSource, FileSource, KubernetesSource, type Source } from './outage/sources.ts';

const [asked] = process.argv.slice(2).map(Number);
const awayMs = (asked ?? 60) * 1_000;

/** How a scenario ended. */
interface Ended extends Told {
  /** How long discovery had told nothing, or nothing but an error, when the source came back, in ms. */
  readonly blindMs: number;
  /** From its return until the application knew what had changed meanwhile, in ms. */
  readonly againMs: number;
}

const scenarios: Readonly<Record<string, () => Promise<Ended>>> = {
  'API server stopped': async () => outage(await KubernetesSource.begin()),
  'API server frozen': async () => outage(await KubernetesSource.begin(true)),
  'API server stopped, in a rolling update': async () => outageWhileRolling(await KubernetesSource.begin()),
  'DNS server stopped': async () => outage(await DnsSource.begin()),
  'DNS server silent': async () => outage(await DnsSource.begin(true)),
  'file is garbage': () => outage(new FileSource()),
};

const ended = await Promise.all(Object.entries(scenarios).map(async ([name, run]) => [name, await run()] as const));
console.log(`\nThe source of endpoints is away for ${awayMs / 1_000} s; 50 calls a second, every third a POST`);
console.table(
  Object.fromEntries(
    ended.map(([name, { calls, failures, p99, most, blindMs, againMs }]) => [
      name,
      {
        calls,
        failed: total(failures),
        'p99 ms': round(p99),
        'most ms': round(most),
        'blind s': round(blindMs / 1_000),
        'known again after s': round(againMs / 1_000),
      },
    ]),
  ),
);
for (const [name, { failures, calls, blindMs, againMs }] of ended) {
  for (const [why, count] of Object.entries(failures)) console.log(`${name}: ${count} × ${why}`);
  check(`${name}: failed calls`, total(failures), `of ${calls}`, 0);
  // Or it was no outage at all, and nothing has been shown.
  check(
    `${name}: time of the outage in which the application was told something`,
    Math.max(0, awayMs - blindMs),
    'ms',
    5_000,
  );
  check(`${name}: known again`, againMs, 'ms', 15_000);
}
if (asked === undefined) save('outage', ended.flatMap(rows));
process.exit();

/** It is away, a replica joins meanwhile, it comes back. */
function outage(source: Source): Promise<Ended> {
  return serve(source, async (application, replicas) => {
    await source.stop();
    await sleep(systemClock, awayMs);
    const blindMs = blind(await application.ask());
    replicas.push(...(await startReplicas(1)));
    await source.start();
    await source.publish(replicas);
    return { blindMs, againMs: await application.knows(replicas) };
  });
}

/** It is away when the first of three has been replaced; the second stops all the same, and nobody says so. */
function outageWhileRolling(source: Source): Promise<Ended> {
  return serve(source, async (application, replicas) => {
    await replaceFirst(source, application, replicas);
    await source.stop();
    const [second] = replicas.splice(0, 1) as [Replica];
    await stopReplica(second);
    await sleep(systemClock, awayMs);
    const blindMs = blind(await application.ask());
    await source.start();
    await source.publish(replicas);
    const againMs = await application.knows(replicas);
    replicas.push(...(await startReplicas(1)));
    await source.publish(replicas);
    await application.knows(replicas);
    await replaceFirst(source, application, replicas);
    return { blindMs, againMs };
  });
}

/** A new replica is ready before an old one is asked to stop; that one is told of as leaving, and drains. */
async function replaceFirst(source: Source, application: Application, replicas: Replica[]): Promise<void> {
  replicas.push(...(await startReplicas(1)));
  await source.publish(replicas);
  await application.knows(replicas);
  const [old] = replicas as [Replica];
  await source.publish(replicas, [old]);
  await stopReplica(old);
  replicas.shift();
  await source.publish(replicas);
  await application.knows(replicas);
}

async function serve(
  source: Source,
  run: (application: Application, replicas: Replica[]) => Promise<Pick<Ended, 'blindMs' | 'againMs'>>,
): Promise<Ended> {
  const replicas = [...(await startReplicas(3))];
  await source.publish(replicas);
  const application = new Application(source.args, source.env);
  await application.knows(replicas);
  await sleep(systemClock, 2_000);
  const times = await run(application, replicas);
  await sleep(systemClock, 2_000);
  const told = await application.ask('stop');
  application.end();
  source.end();
  for (const each of replicas) each.process.disconnect();
  return { ...told, ...times };
}

/** An age says it, or, where that is of answers that came after all, an error does. */
function blind({ ageMs }: Told): number {
  return ageMs ?? 0;
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function rows([name, { calls, failures, p99, againMs }]: readonly [string, Ended]): Row[] {
  const figures = [
    ['calls', '', calls],
    ['failed', '', total(failures)],
    ['p99', 'ms', round(p99)],
    ['known again', 'ms', round(againMs)],
  ] as const;
  return figures.map(([metric, unit, value]) => ({
    ...{ case: name, metric, unit, median: value, min: value, max: value, ratioTo: {} },
  }));
}
