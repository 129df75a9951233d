/**
 * Catches a fetch that is not what the built-in fetch of this Node is. Each subject does the same thing through both, against
 * the same real servers, and everything that the caller and the servers saw is compared. What differs on purpose is listed
 * in test/conformance/known.ts; both a difference that is not listed and one that has gone fail.
 */
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { aborts } from '../../test/conformance/aborts.js';
import { answers } from '../../test/conformance/answers.js';
import { bodies } from '../../test/conformance/bodies.js';
import { contentCodings } from '../../test/conformance/codings.js';
import { failures } from '../../test/conformance/failures.js';
import { headerObjects } from '../../test/conformance/header-objects.js';
import { explains, known, knownHere } from '../../test/conformance/known.js';
import { objects } from '../../test/conformance/objects.js';
import { pipes } from '../../test/conformance/pipes.js';
import { redirects } from '../../test/conformance/redirects.js';
import { requests } from '../../test/conformance/requests.js';
import { streams } from '../../test/conformance/streams.js';
import { compare, type Subject } from '../../test/conformance/subject.js';

const groups = {
  bodies,
  requests,
  redirects,
  answers,
  contentCodings,
  streams,
  pipes,
  aborts,
  failures,
  objects,
  headerObjects,
};
const all: readonly Subject[] = Object.values(groups).flat();
const seen = new Set<object>();

describe.each(Object.entries(groups))('%s', (_, subjects) => {
  it.each(subjects.map((subject): [string, Subject] => [subject.name, subject]))(
    '%s',
    async (name, subject) => {
      const found = await compare(subject);
      const expected = knownHere.filter((entry) => entry.subjects.test(name));
      const news = found.filter((difference) => !expected.some((entry) => explains(entry, name, difference)));
      expect(news, 'differences that are not known').toEqual([]);
      const there = expected.filter((entry) => found.some((difference) => explains(entry, name, difference)));
      for (const entry of there) seen.add(entry);
      const gone = expected.filter((entry) => entry.some !== true && !there.includes(entry));
      expect(gone, 'known differences that have gone').toEqual([]);
    },
    30_000,
  );
});

describe('what is known to differ', () => {
  it('can be seen', () => {
    expect(knownHere.filter((entry) => !seen.has(entry))).toEqual([]);
  });

  it('is in the docs, and nothing else is', async () => {
    const page = await readFile(new URL('../../../../docs/fetch.md', import.meta.url), 'utf8');
    const table = page.slice(page.indexOf('## Differences'));
    const rows = [...table.matchAll(/^\| ([^|]+?) \|/gm)].map(([, cell]) => cell as string).slice(1);
    expect([...rows].sort()).toEqual([...new Set(known.map(({ row }) => row))].sort());
  });

  it('has subjects with names of their own', () => {
    const names = all.map(({ name }) => name);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });
});
