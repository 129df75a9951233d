/**
 * @module The {@link ApiModel} behind a Handler, in the time of whatever clock a call brings, with everything that can
 * happen to bytes on their way: held back, cut anywhere, one at a time, lost with the connection.
 */
import {
  type BodySink,
  type Call,
  CanceledError,
  type Clock,
  type EndListener,
  type Handler,
  later,
  type Reply,
  type ReplyBody,
  type ReplyHeaders,
  type ScopeWatcher,
  TransportError,
  tellEnd,
} from '@fairlead/core';
import type { After, ApiModel, Wire } from './api-model.ts';

/** How the bytes of one reply travel. */
export interface Travel {
  /** Time from the server to the client, in ms; 0 is at once, without a timer. */
  readonly delayMs: number;
  /** Into how many pieces a write falls; `Infinity` is one byte at a time. */
  readonly pieces: number;
}

/** The network between the client and the model. */
export class ApiNetwork {
  /** Nobody listens: connections are refused. */
  refusing = false;
  /** How the next reply travels. */
  travel: () => Travel = () => ({ delayMs: 0, pieces: 1 });
  /** What has been sent to clients. */
  bytes = 0;
  /** Connections that are open. */
  readonly open: Set<VirtualWire> = new Set();
  readonly handler: Handler = (call) => this.#send(call);
  readonly #model: ApiModel;
  readonly #chance: () => number;

  constructor(model: ApiModel, chance: () => number) {
    this.#model = model;
    this.#chance = chance;
  }

  /** Every connection breaks. */
  breakAll(): void {
    for (const wire of [...this.open]) wire.reset();
  }

  #send(call: Call): Promise<Reply> {
    return new Promise((resolve, reject) => {
      call.scope.throwIfExpired();
      if (this.refusing) throw new TransportError({ phase: 'connect', sent: 'no', cause: new Error('ECONNREFUSED') });
      const sent = (size: number): void => void (this.bytes += size);
      const over = (): boolean => this.open.delete(wire);
      const wire = new VirtualWire(call, this.travel(), this.#chance, resolve, reject, over, sent);
      this.open.add(wire);
      const after: After = (ms, run) => {
        const timer = later(call.runtime.clock, ms, run, true);
        return () => call.runtime.clock.disarm(timer);
      };
      wire.onGone = this.#model.request(call.path, wire, after);
    });
  }
}

class VirtualWire implements Wire, Reply, ReplyBody, ScopeWatcher {
  status = 0;
  headers: ReplyHeaders = {};
  at = 0;
  onGone: () => void = () => {};
  readonly #call: Call;
  readonly #clock: Clock;
  readonly #travel: Travel;
  readonly #chance: () => number;
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onSent: (bytes: number) => void;
  readonly #listeners: EndListener[] = [];
  /** What has arrived and nobody has taken. */
  readonly #arrived: (Uint8Array | 'end')[] = [];
  /** What takes back the arrival of what is under way. */
  readonly #underWay: Set<() => void> = new Set();
  #arriveAt = 0;
  #sink: BodySink | null = null;
  #paused = false;
  #over = false;
  #error: unknown = null;

  constructor(
    call: Call,
    travel: Travel,
    chance: () => number,
    resolve: (reply: Reply) => void,
    reject: (error: unknown) => void,
    onOver: () => void,
    onSent: (bytes: number) => void,
  ) {
    this.#onSent = onSent;
    this.#call = call;
    this.#clock = call.runtime.clock;
    this.#travel = travel;
    this.#chance = chance;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#listeners.push(onOver);
    call.scope.watch(this);
  }

  get prompt(): boolean {
    return this.#travel.delayMs === 0;
  }
  get body(): this {
    return this;
  }
  get endpoint(): Call['endpoint'] {
    return this.#call.endpoint;
  }

  head(status: number, headers: Readonly<Record<string, string>>): void {
    this.#arrive(() => {
      this.status = status;
      this.headers = headers;
      this.at = this.#clock.now();
      this.#resolve(this);
    });
  }

  write(text: string): void {
    const bytes = Buffer.from(text);
    this.#onSent(bytes.length);
    const pieces = Math.min(this.#travel.pieces, bytes.length);
    let start = 0;
    for (let i = 1; i <= pieces; i++) {
      const left = bytes.length - start;
      const size = i === pieces ? left : pieces === bytes.length ? 1 : Math.floor(this.#chance() * left);
      const piece = bytes.subarray(start, (start += size));
      if (size > 0) this.#arrive(() => this.#take(piece));
    }
  }

  end(): void {
    this.#arrive(() => this.#take('end'));
  }

  reset(): void {
    this.#finish(new TransportError({ phase: 'body', sent: 'maybe', cause: new Error('ECONNRESET') }));
  }

  attach(sink: BodySink): void {
    this.#sink = sink;
    if (this.#over) sink.onError(this.#error);
    else this.#flow();
  }
  pause(): void {
    this.#paused = true;
  }
  resume(): void {
    this.#paused = false;
    this.#flow();
  }
  cancel(reason: unknown = new CanceledError()): void {
    this.#finish(reason);
  }
  onCancel(reason: unknown): void {
    this.#finish(reason);
  }
  onEnd(listener: EndListener): void {
    if (this.#over) tellEnd(listener, this.#error);
    else this.#listeners.push(listener);
  }

  /** In order, whatever the delays. */
  #arrive(run: () => void): void {
    if (this.#over) return;
    const { delayMs } = this.#travel;
    if (delayMs === 0) {
      run();
      return;
    }
    this.#arriveAt = Math.max(this.#arriveAt, this.#clock.now() + this.#chance() * delayMs);
    const timer = later(
      this.#clock,
      this.#arriveAt - this.#clock.now(),
      () => {
        this.#underWay.delete(takeBack);
        run();
      },
      true,
    );
    const takeBack = (): void => this.#clock.disarm(timer);
    this.#underWay.add(takeBack);
  }

  #take(what: Uint8Array | 'end'): void {
    this.#arrived.push(what);
    this.#flow();
  }

  #flow(): void {
    while (this.#sink !== null && !this.#paused && !this.#over) {
      const next = this.#arrived.shift();
      if (next === undefined) return;
      if (next === 'end') this.#finish(null);
      else this.#sink.onData(next);
    }
  }

  #finish(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    this.#call.scope.unwatch(this);
    for (const takeBack of this.#underWay) takeBack();
    this.#underWay.clear();
    this.onGone();
    if (this.status === 0) this.#reject(error);
    if (error === null) this.#sink?.onEnd({});
    else this.#sink?.onError(error);
    for (const listener of this.#listeners.splice(0)) tellEnd(listener, error);
  }
}
