import { isDict, isText } from "../core/options";
import type { Core } from "../types";

export interface Article {
  readonly title: string;
  readonly body: string;
  readonly locale: string;
}

/** An article that was found; `excerpt` is plain text. */
export interface Hit {
  readonly id: string;
  readonly locale: string;
  readonly title: string;
  readonly excerpt: string;
}

/** An article in the best language there is for `locale`. Rejects when it cannot be had. */
export async function loadArticle(core: Core, id: string, locale: string): Promise<Article> {
  const found = (await get(core, "/" + encodeURIComponent(id), { locale })) as Partial<Article>;
  if (!isText(found.body)) throw new Error(`article ${id}: expected a body`);
  return { title: isText(found.title) ? found.title : id, body: found.body, locale: isText(found.locale) ? found.locale : locale };
}

/** The articles that fit the words, the best first; without words, the first there are. Rejects when they cannot be had. */
export async function searchArticles(core: Core, query: string, locale: string): Promise<Hit[]> {
  const { articles } = (await get(core, "", { locale, q: query })) as { articles?: unknown };
  return (Array.isArray(articles) ? articles : []).filter((hit) => isDict(hit) && isText(hit.id) && isText(hit.title)) as Hit[];
}

async function get({ options }: Core, path: string, query: Record<string, string>): Promise<unknown> {
  const { host, writeKey } = options;
  const reply = await fetch(`${host}/v1/articles${path}?${new URLSearchParams({ writeKey, ...query })}`, { credentials: "omit" });
  if (!reply.ok) throw new Error(`articles${path}: expected 200, got ${reply.status}`);
  return reply.json();
}
