/** @module The states of a breaker, and what leads from one to the next. What is in its window is the engine's business. */
import {
  type Call,
  ConfigError,
  checks,
  type Leave,
  nothingToReport,
  type Outcome,
  optionProblems,
  type RejectedError,
  type Runtime,
  rejected,
  systemClock,
} from '@fairlead/core';
import type { Breaker, BreakerOptions, BreakerSnapshot, BreakerState } from './breaker-options.js';
import { type BreakerEngine, BreakerWindow } from './breaker-window.js';
import { OpossumEngine } from './opossum-engine.js';

/** A call that was let in to see. */
interface Probe {
  /** When it counts as failed, in monotonic ms. */
  readonly until: number;
}

/** What `breaker` makes. */
export class ServiceBreaker implements Breaker {
  readonly name = 'breaker';
  state: BreakerState = 'closed';
  readonly #options: Readonly<BreakerOptions>;
  readonly #slowMs: number;
  #engine: BreakerEngine;
  /** One function for all calls of a generation. An outcome from an earlier one says nothing of the present. */
  #leave: Leave;
  #generation = 0;
  /** Of the latest caller: whoever reports later may not know the time, and somebody has to be told of changes. */
  #runtime: Runtime | null = null;
  #service = '';
  #openUntil = 0;
  #reopenings = 0;
  /** Those that are out, oldest first. */
  readonly #probes = new Set<Probe>();
  #probesSucceeded = 0;

  constructor(options: Readonly<BreakerOptions>) {
    this.#options = options;
    this.#slowMs = options.slowMs ?? Number.POSITIVE_INFINITY;
    this.#engine = this.#newEngine();
    this.#leave = this.#nextGeneration();
    if (options.mode === 'off') this.state = 'disabled';
  }

  enter(call: Call): Leave | RejectedError {
    this.#runtime = call.runtime;
    this.#service = call.service;
    if (this.state !== 'closed') return this.#enterUnwell(call);
    if (call.at >= this.#engine.turnAt) this.#engine.turn(call.at);
    return this.#leave;
  }

  snapshot(): BreakerSnapshot {
    const { state } = this;
    const probeAt = state === 'open' ? this.#openUntil : null;
    const now = this.#runtime?.clock.now() ?? 0;
    if (now >= this.#engine.turnAt) this.#engine.turn(now);
    const probeInMs = probeAt === null ? null : Math.max(0, probeAt - now);
    return { state, ...this.#engine.counts(), probeAt, probeInMs, reopenings: this.#reopenings };
  }

  restore(snapshot: BreakerSnapshot, runtime: Runtime = this.#runtime ?? { clock: systemClock }): void {
    checkSnapshot(snapshot);
    this.#runtime = runtime;
    const now = runtime.clock.now();
    this.#engine = this.#newEngine();
    this.#engine.turn(now);
    this.#engine.restore(snapshot);
    this.#reopenings = snapshot.reopenings;
    // The probes that were out then report to another breaker.
    this.#openUntil = now + (snapshot.probeInMs ?? 0);
    this.#enterState(snapshot.state === 'halfOpen' ? 'open' : snapshot.state);
  }

  forceOpen(): void {
    if (this.state !== 'forcedOpen') this.#become('forcedOpen', null);
  }

  disable(): void {
    if (this.state !== 'disabled') this.#become('disabled', null);
  }

  reset(): void {
    this.#reopenings = 0;
    this.#engine = this.#newEngine();
    if (this.state === 'closed') this.#enterState('closed');
    else this.#become('closed', null);
  }

  #newEngine(): BreakerEngine {
    return this.#options.engine === 'own' ? new BreakerWindow(this.#options) : new OpossumEngine(this.#options);
  }

  #enterUnwell(call: Call): Leave | RejectedError {
    if (this.state === 'disabled') return nothingToReport;
    const now = call.runtime.clock.now();
    if (this.state === 'halfOpen') this.#findOverdue(now);
    if (this.state === 'open' && now >= this.#openUntil) this.#become('halfOpen', null);
    if (this.state === 'halfOpen' && this.#probes.size + this.#probesSucceeded < this.#options.probes) {
      return this.#probe(now);
    }
    if (this.#options.mode === 'shadow') {
      call.runtime.on?.({ type: 'policy.shadowed', service: call.service, policy: 'breaker', would: 'refuse' });
      return nothingToReport;
    }
    return this.#refusal(call.service, now);
  }

  #refusal(service: string, now: number): RejectedError {
    switch (this.state) {
      case 'open':
        return rejected('breaker', service, `${service}: refused by breaker, which is open`, this.#openUntil - now);
      case 'forcedOpen':
        return rejected('breaker', service, `${service}: refused by breaker, which somebody has opened`);
      default:
        return rejected('breaker', service, `${service}: refused by breaker, which waits for its probe`);
    }
  }

  /** No timer waits for a probe; that one is overdue is found out when it matters. */
  #findOverdue(now: number): void {
    const [oldest] = this.#probes;
    if (oldest !== undefined && now >= oldest.until) this.#open(oldest.until);
  }

  #probe(now: number): Leave {
    const probe: Probe = { until: now + this.#options.probeTimeoutMs };
    this.#probes.add(probe);
    return (outcome) => {
      // One that is not there any more was overdue, or belongs to an earlier half-opening.
      if (this.#probes.delete(probe)) this.#probed(outcome);
    };
  }

  #probed(outcome: Outcome): void {
    switch (this.#options.judge(outcome)) {
      case 'success':
        if (outcome.ms > this.#slowMs) this.#open(this.#now());
        else if (++this.#probesSucceeded >= this.#options.probes) this.#close();
        return;
      case 'failure':
        this.#open(this.#now());
        return;
      default:
      // Canceled, refused or overloaded: no failure, and no proof of health. The next call may be the probe.
    }
  }

  #tell(outcome: Outcome): void {
    const engine = this.#engine;
    switch (this.#options.judge(outcome)) {
      case 'success': {
        const slow = outcome.ms > this.#slowMs;
        if (slow) engine.turn(this.#now());
        engine.succeeded(slow);
        if (!slow) return;
        break;
      }
      case 'failure':
        engine.turn(this.#now());
        engine.failed();
        break;
      default:
        return;
    }
    if (engine.opened) this.#open(this.#now());
  }

  #now(): number {
    return (this.#runtime as Runtime).clock.now();
  }

  #open(now: number): void {
    const { openMs, maxOpenMs, jitterRatio } = this.#options;
    if (this.state === 'halfOpen') this.#reopenings++;
    const most = Math.min(Math.max(openMs, maxOpenMs), openMs * 2 ** this.#reopenings);
    const chance = jitterRatio === 0 ? 0 : (this.#runtime as Runtime).clock.random();
    const openFor = most * (1 - jitterRatio * chance);
    this.#openUntil = now + openFor;
    this.#become('open', openFor);
  }

  #close(): void {
    this.#engine = this.#newEngine();
    this.#reopenings = 0;
    this.#become('closed', null);
  }

  #become(state: BreakerState, retryAfterMs: number | null): void {
    const before = this.state;
    this.#enterState(state);
    const type = eventOf(state);
    // What lets calls in as before has not closed anything.
    if (type === 'breaker.closed' && (before === 'closed' || before === 'disabled')) return;
    this.#runtime?.on?.({ type, service: this.#service, retryAfterMs });
  }

  #enterState(state: BreakerState): void {
    this.state = state;
    this.#probes.clear();
    this.#probesSucceeded = 0;
    this.#leave = this.#nextGeneration();
  }

  #nextGeneration(): Leave {
    const generation = ++this.#generation;
    return (outcome) => {
      if (generation === this.#generation) this.#tell(outcome);
    };
  }
}

function eventOf(state: BreakerState): 'breaker.opened' | 'breaker.halfOpened' | 'breaker.closed' {
  switch (state) {
    case 'open':
    case 'forcedOpen':
      return 'breaker.opened';
    case 'halfOpen':
      return 'breaker.halfOpened';
    default:
      return 'breaker.closed';
  }
}

/** It may come from a disk. @throws ConfigError if it is no snapshot */
function checkSnapshot(snapshot: BreakerSnapshot): void {
  const ms = checks.orNull(checks.number(0));
  const given = typeof snapshot === 'object' && snapshot !== null ? snapshot : {};
  const problems = optionProblems<BreakerSnapshot>(
    'snapshot',
    { ...missing, ...given },
    {
      state: checks.oneOf('closed', 'open', 'halfOpen', 'forcedOpen', 'disabled'),
      calls: checks.number(0),
      failures: checks.number(0),
      slow: checks.number(0),
      probeAt: checks.any(),
      probeInMs: ms,
      reopenings: checks.integer(0),
    },
  );
  if (problems.length > 0) throw new ConfigError(problems, 'snapshot of a breaker');
}

/** What a snapshot must have: null is none of these. */
const missing = { state: null, calls: null, failures: null, slow: null, reopenings: null };
