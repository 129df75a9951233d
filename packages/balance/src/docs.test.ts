// Catches: a default, or an option, that the documentation does not tell as it is.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { clusterDefaults } from './cluster.js';
import { healthDefaults } from './endpoint-health.js';
import { loadReportDefaults } from './load-reports.js';
import { latencyDefaults } from './node.js';
import { p2cDefaults } from './p2c.js';
import { dnsDefaults } from './resolvers/dns/dns.js';
import { fileDefaults } from './resolvers/file/file.js';
import { httpSdDefaults } from './resolvers/http-sd/http-sd.js';

/** The option tables of a page: name to default, as written. */
function tablesOf(page: string): Record<string, string>[] {
  const text = readFileSync(new URL(`../../../docs/${page}`, import.meta.url), 'utf8');
  const tables = text.split('| option | default | meaning |\n|---|---|---|\n').slice(1);
  return tables.map((table) => {
    const rows = table.slice(0, table.indexOf('\n\n')).split('\n');
    return Object.fromEntries(rows.map((row) => (/^\| `(\w+)` \| `?([^`|]+?)`? \|/.exec(row) ?? []).slice(1)));
  });
}

function written(defaults: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => [name, String(value).replace(/\B(?=(\d{3})+$)/g, '_')]),
  );
}

describe('the documented defaults', () => {
  it('are those of the code', () => {
    expect(tablesOf('balancing.md')).toEqual(
      [healthDefaults, clusterDefaults, latencyDefaults, p2cDefaults, loadReportDefaults].map(written),
    );
    expect(tablesOf('discovery.md')).toEqual([
      { host: 'required', ...written(dnsDefaults) },
      { path: 'required', ...written(fileDefaults) },
      { url: 'required', handler: 'required', ...written(httpSdDefaults) },
    ]);
  });
});
