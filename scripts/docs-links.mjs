// Links inside the documentation: every relative link leads to a file, and its #fragment to a heading.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';

/** @param {string} root @param {string[]} pages absolute paths @returns {string[]} problems */
export function checkLinks(root, pages) {
  return pages.flatMap((page) =>
    links(prose(page)).flatMap((link) => {
      const [path, fragment] = link.split('#');
      const target = path ? resolve(dirname(page), decodeURI(path)) : page;
      const where = `${relative(root, page)}: link to ${link}`;
      if (relative(root, target).startsWith('..')) return [`${where} leads out of the repository`];
      if (!existsSync(target)) return [`${where} leads nowhere`];
      if (!fragment || !target.endsWith('.md')) return [];
      return headings(prose(target)).has(fragment) ? [] : [`${where}: there is no such heading`];
    }),
  );
}

/** The page without code, in which brackets mean something else. @param {string} page */
function prose(page) {
  return readFileSync(page, 'utf8')
    .replace(/^(```+|~~~+)[\s\S]*?^\1/gm, '')
    .replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, ''));
}

/** @param {string} text */
function links(text) {
  const inline = [...text.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g)].map((match) => match[1]);
  const references = [...text.matchAll(/^\[[^\]]+\]:\s*(\S+)/gm)].map((match) => match[1]);
  const html = [...text.matchAll(/\b(?:href|src)="([^"]+)"/g)].map((match) => match[1]);
  return [...inline, ...references, ...html].filter((link) => !/^([a-z][a-z\d+.-]*:|\/\/)/i.test(link));
}

/** The fragments that GitHub gives to the headings of a page. @param {string} text */
function headings(text) {
  /** @type {Map<string, number>} */
  const seen = new Map();
  const slugs = [...text.matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)].map((match) => {
    const slug = match[1]
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    return times ? `${slug}-${times}` : slug;
  });
  const anchors = [...text.matchAll(/<a (?:id|name)="([^"]+)"/g)].map((match) => match[1]);
  return new Set([...slugs, ...anchors]);
}
