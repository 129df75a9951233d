// Imports one package, or nothing, in a process that has done nothing before, and tells what that cost.
// `node --expose-gc load.mjs [PACKAGE]`
const name = process.argv[2];
const gc = /** @type {() => void} */ (globalThis.gc);

gc();
const before = process.memoryUsage();
const cpu = process.cpuUsage();
const begun = performance.now();
if (name !== undefined) await import(name);
const wall = performance.now() - begun;
const { user, system } = process.cpuUsage(cpu);
const peak = process.memoryUsage().rss;
gc();
const { heapUsed, external, rss } = process.memoryUsage();
console.log(
  JSON.stringify({
    wall,
    cpu: (user + system) / 1_000,
    heap: heapUsed + external - before.heapUsed - before.external,
    rss: Math.max(peak, rss) - before.rss,
  }),
);
