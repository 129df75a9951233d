// The demonstration: a gateway and five replicas of a payments service, real processes all of them, under load while
// replicas are killed, broken, slowed, frozen and updated, and then under ten times the load. Once with Fairlead, once
// with built-in fetch, side by side.
import http from 'node:http';
import { load, summarize } from './load.mjs';
import { phases, steadyPerSecond } from './phases.mjs';
import { freePorts, Gateway, Replica } from './processes.mjs';
import { broken, table } from './report.mjs';

const kinds = ['fairlead', 'plain'];
const [fairleadPort, plainPort, ...replicaPorts] = await freePorts(7);
const replicas = replicaPorts.map((port) => new Replica(port));
console.log('Starting five replicas of payments and two gateways …');
await Promise.all(replicas.map((replica) => replica.start()));
const gateways = [
  await Gateway.start('fairlead', fairleadPort, replicas),
  await Gateway.start('plain', plainPort, replicas),
];
const agents = kinds.map(() => new http.Agent({ keepAlive: true, maxSockets: 512 }));

/** One gateway's share of a phase. */
async function measure(phase, i, perSecond) {
  const samples = await load({ port: gateways[i].port, perSecond, seconds: phase.seconds, agent: agents[i] });
  const { calls, attempts } = await gateways[i].counts();
  return {
    phase: phase.name,
    spike: phase.spike === true,
    kind: kinds[i],
    attemptsPerCall: calls === 0 ? 0 : attempts / calls,
    ...summarize(samples),
  };
}

const rows = [];
await Promise.all(gateways.map((_, i) => measure({ name: 'warm-up', seconds: 1.5 }, i, steadyPerSecond)));
for (const [n, phase] of phases.entries()) {
  process.stdout.write(`[${n + 1}/${phases.length}] ${phase.name.padEnd(26)} `);
  let results;
  if (phase.spike) {
    // One after the other: both at once would only measure which of them hurts the replicas of the other more.
    results = [await measure(phase, 0, 10 * steadyPerSecond), await measure(phase, 1, 10 * steadyPerSecond)];
  } else {
    const hurting = phase.hurt?.(replicas);
    results = await Promise.all(gateways.map((_, i) => measure(phase, i, steadyPerSecond)));
    await hurting;
    await phase.heal?.(replicas);
    await new Promise((resolve) => setTimeout(resolve, 500)); // let queues run empty: the next phase is about something else
  }
  rows.push(...results);
  console.log(
    results.map((row) => `${row.kind === 'fairlead' ? 'Fairlead' : 'built-in fetch'}: ${row.failed} failed`).join(', '),
  );
}

for (const { child } of [...replicas, ...gateways]) child.kill('SIGKILL');
for (const agent of agents) agent.destroy();

console.log(`\n${table(rows)}\n`);
const complaints = broken(rows);
if (complaints.length > 0) {
  console.error(`The promise did not hold:\n${complaints.map((each) => `  ${each}`).join('\n')}`);
  process.exitCode = 1;
} else {
  console.log(
    'With Fairlead no request failed in any phase but the spike; there, what was admitted kept its latency and what was\n' +
      'refused was refused fast.',
  );
}
