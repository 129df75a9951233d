/**
 * @module What endpoints report of their load becomes the weights that they are picked by, so that those who can do more,
 * or have less to do for others, get more.
 *
 * After gRPC's `weighted_round_robin` (gRFC A58: blackout, expiration, penalty for errors, the middle for whoever has not
 * reported), with one difference. There a weight is requests per second over utilization, of all that an endpoint gets: its
 * capacity, whoever else uses it. Here the requests are those of this process, which are in proportion to the weight that it
 * had: `weight / utilization` is the next weight. So it comes to rest where all are loaded alike, whatever loads them.
 */
import { type Call, type Checks, checks, headerOf, type Reply, withHeader } from '@fairlead/core';
import { loadHeader, readLoadReport, tellHeader, tellLoad } from './load-report.js';
import type { Node } from './node.js';
import { ReportedLoad } from './reported-load.js';
import type { Roster } from './roster.js';

/** How load reports are asked for, and what they do. */
export interface LoadReportOptions {
  /** An endpoint is asked at most once in so many ms, and weights are worked out anew as often. Default 1000. */
  readonly periodMs: number;
  /**
   * For so many ms after the first report of an endpoint its reports have no effect: what has just begun to work is slow.
   * Default 10,000 (gRFC A58).
   */
  readonly blackoutMs: number;
  /** After so many ms without a report what was reported is forgotten. Default 30,000. */
  readonly expireMs: number;
  /** An endpoint all of whose answers are errors counts as if its load were higher by so much. Default 1 (gRFC A58). */
  readonly errorPenalty: number;
  /** A weight becomes at most so many times what it was, and no less than that part of it. Default 4. */
  readonly maxFactor: number;
}

/** See {@link LoadReportOptions}. */
export const loadReportDefaults: Readonly<LoadReportOptions> = Object.freeze({
  periodMs: 1_000,
  blackoutMs: 10_000,
  expireMs: 30_000,
  errorPenalty: 1,
  maxFactor: 4,
});

/** @internal */
export const loadReportChecks: Checks<LoadReportOptions> = {
  periodMs: checks.ms(100),
  blackoutMs: checks.ms(),
  expireMs: checks.ms(1),
  errorPenalty: checks.number(0),
  maxFactor: checks.number(1),
};

/** What all have to do at any time: next to an idle endpoint, one that does next to nothing is not busy. */
const IDLE = 0.1;
/** Weights go half of the way (in logarithms), since reports lag behind and chance is in them. */
const GAIN = 0.5;
/** Changes below this share are not worth a new list. */
const WORTHWHILE = 0.02;

/** Asks for the reports of one cluster, and works out its weights. */
export class LoadReports {
  readonly #options: Readonly<LoadReportOptions>;
  readonly #roster: Roster;
  #updateAt: number = Number.NEGATIVE_INFINITY;

  constructor(options: Readonly<LoadReportOptions>, roster: Roster) {
    this.#options = options;
    this.#roster = roster;
  }

  /** The call as it goes to `node` at monotonic time `now`: now and then it asks for a report. */
  ask(node: Node, call: Call, now: number): Call {
    node.load ??= new ReportedLoad();
    const { load } = node;
    if (now >= this.#updateAt) this.#update(now);
    if (now < load.askAt) return call;
    load.askAt = now + this.#options.periodMs;
    const said = headerOf(call.headers, tellHeader);
    const value = said === undefined ? tellLoad : `${said}, ${tellLoad}`;
    return call.withHeaders(withHeader(call.headers, tellHeader, value));
  }

  /** `node` has answered, well or with an error. */
  answered(node: Node, reply: Reply, failed: boolean): void {
    const { load } = node;
    if (load === null) return;
    load.answers++;
    if (failed) load.errors++;
    const value = reply.headers[loadHeader];
    // Some servers report with every answer.
    if (value === undefined || reply.at < load.at + this.#options.periodMs / 2) return;
    const report = readLoadReport(value);
    if (report === null) return;
    if (reply.at - load.at >= this.#options.expireMs) load.since = reply.at;
    load.at = reply.at;
    load.utilization = report.utilization;
    load.errorRatio = Math.max(report.errorRatio, load.errors / load.answers);
    // One error among a few answers is not yet much.
    load.answers /= 2;
    load.errors /= 2;
    load.news = true;
  }

  /** `node` has not answered, which is its fault. */
  failed(node: Node): void {
    const { load } = node;
    if (load === null) return;
    load.answers++;
    load.errors++;
  }

  #update(now: number): void {
    this.#updateAt = now + this.#options.periodMs;
    const { members } = this.#roster;
    const known = members.filter(({ load }) => load !== null && this.#counts(load, now));
    const middle = median(known.map((node) => this.#loadOf(node)));
    for (const node of known) {
      const load = node.load as ReportedLoad;
      if (load.news) load.factor *= ((middle + IDLE) / (this.#loadOf(node) + IDLE)) ** GAIN;
      load.news = false;
    }
    // Whoever says nothing has a factor of 1, so that is what the middle has to be.
    const usual = median(known.map(({ load }) => (load as ReportedLoad).factor));
    const { maxFactor } = this.#options;
    for (const { load } of known as { load: ReportedLoad }[]) {
      load.factor = Math.min(maxFactor, Math.max(1 / maxFactor, load.factor / usual));
    }
    let changed = false;
    for (const node of members) {
      const { load, endpoint } = node;
      if (load !== null && !this.#counts(load, now)) load.factor = 1;
      const weight = endpoint.weight * (load?.factor ?? 1);
      if (Math.abs(weight - node.weight) <= WORTHWHILE * node.weight) continue;
      node.weight = weight;
      changed = true;
    }
    // Pickers remember what they have worked out about a list.
    if (changed) this.#roster.changed();
  }

  #counts(load: ReportedLoad, now: number): boolean {
    const { expireMs, blackoutMs } = this.#options;
    return now - load.at < expireMs && now - load.since >= blackoutMs;
  }

  #loadOf({ load }: Node): number {
    const { utilization, errorRatio } = load as ReportedLoad;
    return utilization + errorRatio * this.#options.errorPenalty;
  }
}

/** The middle one, of two the lower: so one that lies does not move it. Of nothing, 1. */
function median(values: number[]): number {
  return values.sort((a, b) => a - b)[(values.length - 1) >> 1] ?? 1;
}
