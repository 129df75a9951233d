// Would catch: a fault that hits whom it was not meant for, happens in production, cannot be canceled, or leaves a reply,
// a timer or a body behind; a slow body that loses or reorders bytes, or runs over a reader who pauses.
import { CanceledError, ConfigError, compose, createEndpoint, readText } from '@fairlead/core';
import { callTo, checkLeaks, hang, recordEvents, reply, type Script, scripted, VirtualClock } from '@fairlead/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type InjectFaultOptions, injectFault } from './inject-fault.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

function rig(options: Partial<InjectFaultOptions>, script: Script = reply(200, { body: 'ok' })) {
  const clock = new VirtualClock();
  const runtime = { clock };
  const events = recordEvents(runtime);
  const backend = scripted(script);
  const handler = compose([injectFault({ ratio: 1, ...options })], backend);
  const call = callTo('payments', { runtime });
  return { clock, runtime, events, backend, handler, call, go: (it = call) => clock.run(handler(it)) };
}

describe('injectFault', () => {
  it('delays', async () => {
    const { go, clock, events, call, backend } = rig({ latencyMs: 300 });
    expect(await readText(await go())).toBe('ok');
    expect(clock.now()).toBe(300);
    expect(events).toEqual([{ type: 'fault.injected', service: 'payments', fault: 'latency' }]);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('answers by itself', async () => {
    const { go, backend } = rig({ abortStatus: 503 });
    expect((await go()).status).toBe(503);
    expect(backend.calls).toEqual([]);
  });

  it('breaks off as a connection does that is reset, which proves nothing', async () => {
    const { go, call } = rig({ reset: true });
    const at = call.with({ endpoint: createEndpoint('http://a:1') });
    await expect(go(at)).rejects.toMatchObject({ phase: 'wait', sent: 'maybe', endpoint: 'http://a:1' });
  });

  it('slows a body down, piece by piece, and leaves nothing behind', async () => {
    const { go, clock, backend, call } = rig({ slowBodyMs: 100 }, reply(200, { body: ['a', 'b', 'c'] }));
    const answer = await go();
    expect(await clock.run(readText(answer))).toBe('abc');
    expect(clock.now()).toBe(300);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('lets a reader of a slow body pause, cancel, and be canceled', async () => {
    const { go, clock, backend, call } = rig({ slowBodyMs: 100 }, reply(200, { body: ['a', 'b'] }));
    const answer = await go();
    const got: string[] = [];
    answer.body.attach({
      onData(chunk) {
        got.push(new TextDecoder().decode(chunk));
        answer.body.pause();
      },
      onEnd: () => got.push('end'),
      onError: () => got.push('error'),
    });
    expect(() => answer.body.attach({ onData() {}, onEnd() {}, onError() {} })).toThrow(TypeError);
    await clock.advance(1_000);
    expect(got).toEqual(['a']);
    answer.body.resume();
    await clock.advance(50);
    answer.body.pause();
    await clock.advance(1_000);
    expect(got).toEqual(['a']);
    answer.body.resume();
    expect(got).toEqual(['a', 'b']);
    answer.body.resume();
    expect(got).toEqual(['a', 'b', 'end']);
    checkLeaks({ clock, backend, scopes: [call.scope] });

    for (const how of ['cancel', 'scope']) {
      const other = rig({ slowBodyMs: 100 }, reply(200, { body: ['a', 'b'] }));
      const cut = await other.go();
      const text = readText(cut);
      await other.clock.advance(50);
      if (how === 'cancel') cut.body.cancel();
      else other.call.scope.cancel();
      await expect(text).rejects.toBeInstanceOf(CanceledError);
      checkLeaks({ clock: other.clock, backend: other.backend, scopes: [other.call.scope] });
    }
  });

  it('ends with the call while it delays', async () => {
    const { handler, clock, call, backend } = rig({ latencyMs: 300 }, hang());
    const pending = handler(call);
    pending.catch(() => {});
    await clock.advance(100);
    call.scope.cancel();
    await expect(pending).rejects.toBe(call.scope.reason);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('hits the share, the service and the header that it is told', async () => {
    const { go, runtime, backend } = rig({ ratio: 0.3, service: 'payments', header: 'x-chaos', abortStatus: 500 });
    const statusOf = async (service: string, headers: string[]): Promise<number> => {
      const answer = await go(callTo(service, { runtime, headers }));
      answer.body.cancel();
      return answer.status;
    };
    for (let i = 0; i < 50; i++) {
      expect(await statusOf('payments', [])).toBe(200);
      expect(await statusOf('ledger', ['x-chaos', ''])).toBe(200);
    }
    let hit = 0;
    for (let i = 0; i < 1_000; i++) if ((await statusOf('payments', ['x-chaos', '1'])) === 500) hit++;
    expect(hit).toBeGreaterThan(250);
    expect(hit).toBeLessThan(350);
    expect(backend.open).toBe(0);
  });

  it('is refused in production, unless it is forced or does not act', () => {
    vi.stubEnv('NODE_ENV', 'production');
    expect(() => injectFault({ ratio: 1 })).toThrow('NODE_ENV is production');
    for (const options of [{ force: true }, { mode: 'shadow' as const }, { mode: 'off' as const }])
      injectFault(options);
  });

  it('in shadow does nothing and counts; off does nothing', async () => {
    const { go, events, call, backend } = rig({ mode: 'shadow', abortStatus: 500 });
    expect((await go()).status).toBe(200);
    expect(events).toEqual([{ type: 'policy.shadowed', service: 'payments', policy: 'injectFault', would: 'inject' }]);
    expect(backend.calls).toEqual([call]);
    const off = rig({ mode: 'off', abortStatus: 500 });
    expect((await off.go()).status).toBe(200);
    expect(off.events).toEqual([]);
  });

  it('lists everything that is wrong with its options', () => {
    expect(() => injectFault({ ratio: 2, header: 'X-Big', abortStatus: 99, latencyMs: -1 })).toThrow('4 problems');
    expect(() => injectFault({ abortStatus: 500, reset: true })).toThrow('beside abortStatus');
    expect(() => injectFault({ share: 1 } as never)).toThrow(ConfigError);
  });
});
