/** @module One process of a fleet that shares a pace: by turns that Redis gives, and by its share while Redis is away. */
import { type Clock, later, systemClock, Timer } from '@fairlead/core';
import { FleetLink, type LinkInit, type LinkListener } from './pace-fleet-link.js';
import type { FleetPace, FleetPaceOptions } from './pace-fleet-options.js';
import type { Absence } from './pace-fleet-roll.js';

/** Pauses before Redis is tried again, in ms. They double. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

type Go = () => void;

/** What a member needs of its link. */
export type Link = Pick<FleetLink, 'members' | 'join' | 'turn' | 'setMinTime' | 'hold' | 'close'>;

/** It is its own timer: the next turn of this process's share. */
export class FleetMember extends Timer implements FleetPace, LinkListener {
  readonly #options: Readonly<FleetPaceOptions>;
  readonly #connect: (init: LinkInit, listener: LinkListener) => Link;
  #clock: Clock = systemClock;
  #held: (ms: number) => void = () => {};
  #token = '';
  #minTime = 100;
  /** Whether Redis knows it, or what others have made of it since. */
  #said = false;
  /** Null while nobody tries to have one. */
  #link: Link | null = null;
  #joined = false;
  #closed = false;
  /** How many belonged to the fleet when Redis was last there. */
  #members = 1;
  #tryAt = Number.NEGATIVE_INFINITY;
  #pauseMs = FIRST_PAUSE_MS;
  #retry: Timer | null = null;
  /** Asked of the link. */
  readonly #asked = new Set<Go>();
  /** Waiting for our share, or for the first link to be there. */
  readonly #own: Set<Go> = new Set();
  /** When our share next lets one go, in monotonic ms. */
  #nextAt = Number.NEGATIVE_INFINITY;
  /** Turns of our share that were used one after the other, and since when. */
  #sent = 0;
  #since = 0;
  down = false;

  /** @param connect makes a link; there is one at a time */
  constructor(
    options: Readonly<FleetPaceOptions>,
    connect: (init: LinkInit, listener: LinkListener) => Link = (init, listener) => new FleetLink(init, listener),
  ) {
    super();
    this.#options = options;
    this.#connect = connect;
  }

  begin(clock: Clock, perSecond: number, held: (ms: number) => void): void {
    this.#clock = clock;
    this.#held = held;
    this.#token = clock.random().toString(36).slice(2);
    this.#minTime = 1_000 / perSecond;
    // What was before, if anything, was by another clock.
    this.#nextAt = Number.NEGATIVE_INFINITY;
  }

  async schedule<R>(job: () => PromiseLike<R>): Promise<R> {
    await new Promise<void>((go) => this.#turn(go));
    return job();
  }

  updateSettings({ minTime }: { minTime: number }): void {
    this.#minTime = minTime;
    if (!this.#joined) this.#said = false;
    this.#link?.setMinTime(minTime);
  }

  hold(ms: number): void {
    this.#link?.hold(ms);
  }

  close(): void {
    this.#closed = true;
    this.#link?.close();
    this.#leave();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  joined(link: Link): void {
    if (link !== this.#link) return;
    this.#joined = true;
    this.#said = true;
    this.down = false;
    this.#pauseMs = FIRST_PAUSE_MS;
    const waiting = [...this.#own];
    this.#own.clear();
    this.#clock.disarm(this);
    for (const go of waiting) this.#ask(link, go);
  }

  lost(link: Link): void {
    if (link !== this.#link) return;
    if (link.members > 0) this.#members = link.members;
    this.#pause();
  }

  held(ms: number): void {
    this.#held(ms);
  }

  absence(): Absence | null {
    if (!this.down) return null;
    const shareMs = this.#shareMs;
    const sent = this.#idle(this.#clock.now(), shareMs) ? 0 : this.#sent;
    return { among: shareMs / this.#minTime, sent, since: this.#since, shareMs };
  }

  /** Our share lets one go. */
  fire(): void {
    const [go] = this.#own;
    if (go === undefined) return;
    this.#own.delete(go);
    this.#sent++;
    this.#nextAt = this.#clock.now() + this.#shareMs;
    if (this.#own.size > 0) this.#clock.arm(this, this.#nextAt);
    go();
  }

  #turn(go: Go): void {
    const now = this.#clock.now();
    if (now >= this.#tryAt) this.#tryRedis();
    if (this.#joined && this.#link !== null) this.#ask(this.#link, go);
    else {
      if (this.#idle(now, this.#shareMs)) this.#beginShare(now);
      this.#own.add(go);
      if (this.down) this.#serveOwn(now);
    }
  }

  /** Whether nobody has used our share for a while: nothing is owed for that. Turns that are merely late are something else. */
  #idle(now: number, shareMs: number): boolean {
    return this.#own.size === 0 && now >= this.#nextAt + shareMs;
  }

  #ask(link: Link, go: Go): void {
    this.#asked.add(go);
    link.turn(() => {
      // Otherwise the link was lost, and it went or goes by our share.
      if (this.#asked.delete(go)) go();
    });
  }

  #tryRedis(): void {
    if (this.#link !== null || this.#closed) return;
    const { redis, name, timeoutMs } = this.#options;
    // Time for each of the others to find out that Redis is there again.
    const rollMs = LONGEST_PAUSE_MS + 4 * timeoutMs;
    const [token, minTime, says, clock] = [this.#token, this.#minTime, !this.#said, this.#clock];
    try {
      this.#link = this.#connect({ redis, name, token, timeoutMs, rollMs, minTime, says, clock }, this);
    } catch {
      // A client that cannot be made is like a server that is not there.
      this.#pause();
      return;
    }
    void this.#link.join();
  }

  #pause(): void {
    this.#tryAt = this.#clock.now() + this.#pauseMs * (0.5 + this.#clock.random() / 2);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    this.#leave();
  }

  /** Without a link, whoever waited for it goes by our share. */
  #leave(): void {
    const now = this.#clock.now();
    this.#link = null;
    this.#joined = false;
    if (!this.down) {
      // The others have heard at the same moment, and must not all go at once.
      this.#nextAt = now + this.#clock.random() * this.#shareMs;
      this.#beginShare(now);
    }
    this.down = true;
    for (const go of this.#asked) this.#own.add(go);
    this.#asked.clear();
    this.#serveOwn(now);
  }

  #beginShare(now: number): void {
    this.#since = now;
    this.#sent = 0;
  }

  #serveOwn(now: number): void {
    if (this.#own.size > 0 && !this.armed) this.#clock.arm(this, Math.max(now, this.#nextAt));
    if (this.#closed) this.#stopRetrying();
    else if (this.#own.size > 0 && this.#link === null) this.#retryLater(now);
  }

  /** A share may be so small that the next turn is far off: whoever waits has Redis tried when the pause is over. */
  #retryLater(now: number): void {
    if (this.#retry !== null) return;
    const again = (): void => {
      this.#retry = null;
      if (this.#own.size > 0) this.#tryRedis();
    };
    this.#retry = later(this.#clock, Math.max(0, this.#tryAt - now), again, true);
  }

  #stopRetrying(): void {
    if (this.#retry !== null) this.#clock.disarm(this.#retry);
    this.#retry = null;
  }

  /** Time between two turns of our share, in ms. */
  get #shareMs(): number {
    const { replicas } = this.#options;
    let among: number;
    try {
      among = typeof replicas === 'function' ? replicas() : (replicas ?? this.#members);
    } catch {
      among = 1;
    }
    return this.#minTime * (among >= 1 && Number.isFinite(among) ? among : 1);
  }
}
