/**
 * Catches a door that is another thing to a caller or a server than plain undici: each subject is done with an `Agent` and
 * with a door over one endpoint, and all that both sides saw is compared. What differs on purpose says why, and fails when
 * it no longer does.
 */
import type { RequestListener } from 'node:http';
import { afterEach, expect, it } from 'vitest';
import { undici } from '../../test/door.js';
import { doorSite } from '../../test/door-site.js';
import { bodyOf } from '../../test/servers.js';
import type { Subject } from '../../test/undici-subject.js';
import { subjects } from '../../test/undici-subjects.js';
import type { Dispatcher } from '../undici.js';

const { over, http } = doorSite();
const agents: Dispatcher[] = [];
afterEach(async () => {
  for (const each of agents.splice(0)) await each.destroy();
});

/** Everything that caller and server saw; ports are of no interest, and names of headers are not told apart by case. */
async function seen({ run, answer }: Subject, plain: boolean): Promise<unknown> {
  const got: unknown[] = [];
  const listener: RequestListener = async (request, response) => {
    const { method, url, rawHeaders } = request;
    const pairs: string[] = [];
    for (let i = 0; i < rawHeaders.length; i += 2) pairs.push(`${rawHeaders[i]?.toLowerCase()}: ${rawHeaders[i + 1]}`);
    const head = [method, url, ...pairs.sort()];
    got.push(head);
    response.sendDate = false;
    if (answer !== undefined) return answer(request, response);
    head.push(await bodyOf(request).catch((error: Error) => error.message));
    response.end(head.join('|'));
  };
  const server = await http(listener);
  const dispatcher = plain ? new undici.Agent() : over([server], { attempts: 1 }).door;
  if (plain) agents.push(dispatcher);
  const saw = await run(dispatcher, plain ? server.origin : 'http://svc').catch((error: Error & { code?: string }) => [
    error.name,
    error.code,
    error.message,
  ]);
  return JSON.parse(JSON.stringify([saw, got]).replaceAll(String(server.port), 'PORT'));
}

it.each(subjects.map((subject): [string, Subject] => [subject.name, subject]))('%s', async (_, subject) => {
  const expected = await seen(subject, true);
  const actual = await seen(subject, false);
  if (subject.differs === undefined) expect(actual).toEqual(expected);
  else expect(actual, `no longer differs: ${subject.differs}`).not.toEqual(expected);
});
