// What many services do: three tries, a second for each, whatever goes wrong

/** @param {string} origin @returns {() => Promise<Response>} */
export function plainLoop(origin) {
  return async () => {
    for (let left = 2; ; left--) {
      try {
        const reply = await fetch(origin, { signal: AbortSignal.timeout(1_000) });
        if (reply.status < 500 || left === 0) return reply;
        await reply.arrayBuffer();
      } catch (error) {
        if (left === 0) throw error;
      }
    }
  };
}
