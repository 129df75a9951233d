/**
 * Would catch: a manifest that an API server would refuse (a misspelt field, a wrong type), one that grants more than
 * discovery needs, or one whose parts do not name each other.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { schemas } from '../test/manifest-schema.ts';

const folder = new URL('../../../examples/kubernetes/base/', import.meta.url);

interface Manifest {
  readonly kind: string;
  readonly metadata?: { readonly name: string };
  // biome-ignore lint/suspicious/noExplicitAny: its shape is what is under test
  readonly [field: string]: any;
}

function read(file: string): Manifest[] {
  return parseAllDocuments(readFileSync(new URL(file, folder), 'utf8')).map((each) => each.toJS() as Manifest);
}

const files = readdirSync(folder);
const all = files.flatMap(read);
const find = (kind: string): Manifest => {
  const found = all.find((each) => each.kind === kind);
  if (found === undefined) throw new Error(`there is no ${kind}`);
  return found;
};
const ajv = new Ajv({ allErrors: true, allowUnionTypes: true });

describe('the manifests', () => {
  it.each(all.map((each) => [each.kind, each] as const))('%s is as the API wants it', (kind, manifest) => {
    const validate = ajv.compile(schemas[kind] ?? false);
    expect([validate(manifest), validate.errors]).toEqual([true, null]);
  });

  it('would not pass with a misspelt field, a wrong type, or a field left out', () => {
    const validate = ajv.compile(schemas.Deployment as object);
    const { spec, ...rest } = find('Deployment');
    expect(validate({ ...rest, spec: { ...spec, replica: 3 } })).toBe(false);
    expect(validate({ ...rest, spec: { ...spec, replicas: '3' } })).toBe(false);
    expect(validate(rest)).toBe(false);
  });

  it('are all in the base', () => {
    expect([...find('Kustomization').resources, 'kustomization.yaml'].sort()).toEqual([...files].sort());
  });

  it('grant get, list and watch on EndpointSlices, and nothing else', () => {
    expect(all.filter(({ kind }) => /Role$/.test(kind))).toHaveLength(1);
    expect(find('Role').rules).toEqual([
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list', 'watch'] },
    ]);
  });

  it('name each other', () => {
    const account = find('ServiceAccount').metadata?.name;
    const { roleRef, subjects } = find('RoleBinding');
    expect(roleRef.name).toBe(find('Role').metadata?.name);
    expect(subjects).toEqual([{ kind: 'ServiceAccount', name: account }]);
    const { selector, template } = find('Deployment').spec;
    expect(template.spec.serviceAccountName).toBe(account);
    expect(template.metadata.labels).toMatchObject(selector.matchLabels);
    expect(find('Service').spec.selector).toEqual(selector.matchLabels);
  });

  it('have both probes, the zone by the downward API, and time to drain', () => {
    const { containers, terminationGracePeriodSeconds } = find('Deployment').spec.template.spec;
    const [{ readinessProbe, livenessProbe, env }] = containers;
    expect([readinessProbe.httpGet.path, livenessProbe.httpGet.path]).toEqual(['/readyz', '/livez']);
    const paths = env.flatMap((each: Manifest) => each.valueFrom?.fieldRef.fieldPath ?? []);
    expect(paths).toContain("metadata.labels['topology.kubernetes.io/zone']");
    expect(terminationGracePeriodSeconds).toBeGreaterThan(28);
  });
});
