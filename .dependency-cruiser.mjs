// Who may import whom. Type-only imports count: a type from above ties two packages together as firmly as a value.
// What stands beside src in test or tests is helpers of tests: nothing of it is published.
const anyTest = '\\.test\\.ts$|^packages/[^/]+/tests?/';

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'core-imports-nothing',
      comment: 'Core is level 0: it may import neither another package nor a third-party module.',
      severity: 'error',
      from: { path: '^packages/core/src/', pathNot: anyTest },
      to: { pathNot: '^packages/core/src/', dependencyTypesNot: ['core'] },
    },
    {
      name: 'parts-import-core-only',
      comment: 'A part (level 1, and testing) may import core, and never another part or the assembly.',
      severity: 'error',
      from: { path: '^packages/(?!core/|fairlead/)([^/]+)/', pathNot: anyTest },
      to: { path: '^(packages|node_modules/@fairlead|node_modules/fairlead)/', pathNot: '^packages/(core|$1)/' },
    },
    {
      name: 'part-tests-import-core-and-testing-only',
      comment: 'A test of core or of a part may use @fairlead/testing besides, and still no other part.',
      severity: 'error',
      from: { path: '^packages/(?!fairlead/)([^/]+)/(?:.*\\.test\\.ts$|tests?/)' },
      to: {
        path: '^(packages|node_modules/@fairlead|node_modules/fairlead)/',
        pathNot: '^packages/(core|testing|$1)/',
      },
    },
    {
      name: 'assembly-ships-without-testing',
      comment: 'Only tests may use @fairlead/testing: users of fairlead do not have it.',
      severity: 'error',
      from: { path: '^packages/(?!testing/)', pathNot: anyTest },
      to: { path: '^(packages/testing|node_modules/@fairlead/testing)/' },
    },
    {
      name: 'through-the-front-door',
      comment: 'Another package is imported by its name, never by a path into its sources.',
      severity: 'error',
      from: { path: '^packages/([^/]+)/' },
      to: { path: '^packages/(?!$1/)', dependencyTypesNot: ['aliased'] },
    },
    {
      name: 'no-cycle',
      comment: 'Modules that import each other cannot be read, tested or loaded one at a time.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'declared-dependencies-only',
      comment:
        "What a package imports must be in its own package.json: the root's development tools are not installed for users.",
      severity: 'error',
      from: { path: '^packages/[^/]+/src/', pathNot: anyTest },
      to: {
        path: '(^|/)node_modules/',
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        dependencyTypesNot: ['npm', 'npm-peer', 'type-only'],
      },
    },
    {
      name: 'resolvable',
      comment: 'An import that leads nowhere would make every other rule pass by accident.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: '(node_modules|/dist)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
};
