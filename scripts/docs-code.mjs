// Code in pages is cut from files that run. A block under `<!-- from: examples/x.ts#region -->` equals what stands
// between `// #region region` and `// #endregion` in that file; without a region, the whole file.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const block = /^(<!-- from: ([^\s#]+)(?:#(\S+))? -->\n+```[^\n]*\n)([\s\S]*?)^```$/gm;

/** @param {string} root @param {string[]} pages @param {boolean} write put the file's text into the pages @returns {string[]} problems */
export function checkCode(root, pages, write) {
  /** @type {string[]} */
  const problems = [];
  for (const page of pages) {
    const text = readFileSync(page, 'utf8');
    const announced = text.match(/<!-- from: /g)?.length ?? 0;
    let found = 0;
    const next = text.replace(block, (whole, opening, path, region, code) => {
      found++;
      const source = cut(join(root, path), region);
      const name = `${relative(root, page)}: the block from ${path}${region ? `#${region}` : ''}`;
      if (source === undefined) problems.push(`${name}: there is no such file or region`);
      else if (source !== code && !write) problems.push(`${name} differs from the file`);
      return source === undefined ? whole : `${opening}${source}\`\`\``;
    });
    if (found < announced)
      problems.push(`${relative(root, page)}: a "from:" comment without a code block right under it`);
    if (write && next !== text) writeFileSync(page, next);
  }
  return problems;
}

/** @param {string} file @param {string | undefined} region */
function cut(file, region) {
  if (!existsSync(file)) return undefined;
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const marker = /^\s*\/\/ #(end)?region\b/;
  let kept = lines;
  if (region) {
    const start = lines.findIndex((line) => line.trim() === `// #region ${region}`);
    if (start < 0) return undefined;
    let depth = 1;
    let end = start;
    while (depth && ++end < lines.length)
      depth += lines[end].match(marker) ? (lines[end].includes('#end') ? -1 : 1) : 0;
    if (depth) return undefined;
    kept = lines.slice(start + 1, end);
  }
  kept = kept.filter((line) => !marker.test(line));
  const indent = Math.min(...kept.filter((line) => line.trim()).map((line) => line.search(/\S/)));
  return `${kept.map((line) => line.slice(indent)).join('\n')}\n`;
}
