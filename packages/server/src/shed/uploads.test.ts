/** Would catch bodies that are still coming and count as work, and those that have come and do not. */
import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { Uploads } from './uploads.js';

const request = (complete = false): IncomingMessage => ({ complete }) as IncomingMessage;

describe('Uploads', () => {
  it('counts those that are still coming', () => {
    const uploads = new Uploads();
    const [coming, here] = [request(), request(true)];
    uploads.add(coming);
    uploads.add(here);
    expect(uploads.coming(0)).toBe(1);
    Object.assign(coming, { complete: true });
    expect(uploads.coming(0)).toBe(0);
  });

  it('says whose handler has waited, if anybody has looked', () => {
    const uploads = new Uploads();
    const [seen, unseen, done] = [request(), request(), request(true)];
    uploads.add(seen);
    uploads.add(done);
    expect(uploads.coming(0)).toBe(1);
    uploads.add(unseen);
    expect([seen, unseen, done, request()].map((each) => uploads.delete(each))).toEqual([true, false, false, false]);
    expect(uploads.coming(0)).toBe(0);
  });

  it('counts many no more often than needed, and forgets at once who has left', () => {
    const uploads = new Uploads();
    const all = Array.from({ length: 1_000 }, () => request());
    for (const each of all) uploads.add(each);
    expect(uploads.coming(0)).toBe(1_000);
    for (const each of all) Object.assign(each, { complete: true });
    expect(uploads.coming(4)).toBe(1_000);
    uploads.delete(all[0] as IncomingMessage);
    expect(uploads.coming(4)).toBe(0);
  });
});
