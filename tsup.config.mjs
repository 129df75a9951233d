// One build for every package. The entries are the package's own exports: adding a subpath there is enough.
/** @param {import('./scripts/packages.mjs').Package} pack @returns {import('tsup').Options} */
export function tsupOptions(pack) {
  return {
    config: false,
    silent: true,
    entry: Object.fromEntries(pack.entries.map((e) => [e.output.replace(/^dist\/|\.js$/g, ''), `./${e.source}`])),
    outDir: 'dist',
    format: 'esm',
    platform: 'node',
    target: 'node22',
    // Subpaths of one package share their modules, and with them their state.
    splitting: true,
    sourcemap: true,
    clean: true,
    treeshake: false,
    // TypeScript 7 has no API for tsup to use; scripts/build.mjs makes the declarations with tsc.
    dts: false,
    // Whatever is named by a bare specifier is a dependency of the user's tree, never ours to carry.
    skipNodeModulesBundle: true,
    // esbuild remembers the folder it was first loaded in, and one process builds all packages.
    esbuildOptions: (options) => {
      options.absWorkingDir = pack.dir;
    },
  };
}
