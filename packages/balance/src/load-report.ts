/**
 * @module How loaded an endpoint says it is, in a header of its replies: the text and the JSON form of ORCA's load reports
 * (xDS, `endpoint-load-metrics`; gRFC A51). Whoever writes it may be wrong, or lie: what makes no sense is no report.
 */

/** The request header that asks a server of Fairlead for a report, and what it says then. */
export const tellHeader = 'x-fairlead-tell';
/** See {@link tellHeader}. */
export const tellLoad = 'load';
/** The reply header that has the report. */
export const loadHeader = 'endpoint-load-metrics';

/** What is longer is not looked at. */
const MOST_CHARACTERS = 1_024;
/** The most load that is believed: how far above is of no interest. */
const MOST_LOAD = 2;

/** What is of interest in a report. */
export interface LoadReport {
  /** What is asked of the endpoint, over what it can do; from 0 to 2. */
  readonly utilization: number;
  /** The share of its answers that were errors, 0 to 1; 0 if it does not say. */
  readonly errorRatio: number;
}

/** Reads the value of {@link loadHeader}; null if it is not a report, or does not say how loaded the endpoint is. */
export function readLoadReport(value: string | readonly string[] | undefined): LoadReport | null {
  if (typeof value !== 'string' || value.length > MOST_CHARACTERS) return null;
  const form = value.slice(0, 5);
  const said = form === 'TEXT ' ? textMember(value) : form === 'JSON ' ? jsonMember(value.slice(5)) : null;
  if (said === null) return null;
  // What the application says of itself counts before what the processor says of it (gRFC A58).
  const application = said('application_utilization');
  const utilization = application > 0 ? application : Math.max(0, said('cpu_utilization'));
  if (Number.isNaN(utilization)) return null;
  const perSecond = said('rps_fractional');
  const errorsPerSecond = said('eps');
  const errorRatio = perSecond > 0 && errorsPerSecond > 0 ? Math.min(1, errorsPerSecond / perSecond) : 0;
  return { utilization: Math.min(MOST_LOAD, utilization), errorRatio };
}

/** Gives a member by its name; NaN if it is not there or no number. */
type Member = (name: string) => number;

const decimal = /^\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

function textMember(value: string): Member {
  const members = value.slice(5).split(',');
  return (name) => {
    for (const member of members) {
      const [key = '', number = ''] = member.split(/[=:]/, 2);
      if (key.trim() === name) return decimal.test(number.trim()) ? Number(number) : Number.NaN;
    }
    return Number.NaN;
  };
}

function jsonMember(text: string): Member | null {
  let members: Record<string, unknown>;
  try {
    members = Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    return null;
  }
  return (name) => (typeof members[name] === 'number' ? (members[name] as number) : Number.NaN);
}
