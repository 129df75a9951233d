// What is done to the replicas while the load goes on. Each phase hurts them in one way and heals them afterwards.
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const steadyPerSecond = 50;

/** @type {{ name: string, seconds: number, hurt?: Function, heal?: Function, spike?: true }[]} */
export const phases = [
  { name: 'all well', seconds: 4 },
  {
    name: 'one replica killed',
    seconds: 5,
    hurt: async ([victim]) => {
      await pause(1_000);
      await victim.stop('SIGKILL');
    },
    heal: ([victim]) => victim.start(),
  },
  {
    name: 'one answers 503 at once',
    seconds: 5,
    hurt: ([, victim]) => victim.mode('broken'),
    heal: ([, victim]) => victim.mode('ok'),
  },
  {
    name: 'one is slow',
    seconds: 5,
    hurt: ([, , victim]) => victim.mode('slow'),
    heal: ([, , victim]) => victim.mode('ok'),
  },
  {
    name: 'one is frozen',
    seconds: 5,
    hurt: async ([, , , victim]) => {
      await pause(500);
      victim.freeze();
    },
    heal: ([, , , victim]) => victim.thaw(),
  },
  {
    name: 'rolling update',
    seconds: 8,
    hurt: async (replicas) => {
      for (const replica of replicas) {
        await replica.stop('SIGTERM');
        await replica.start();
        await pause(300);
      }
    },
  },
  { name: 'spike, 10 times the load', seconds: 4, spike: true },
];
