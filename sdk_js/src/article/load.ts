import type { Core } from "../types";
import { isText } from "../core/options";

export interface Article {
  readonly title: string;
  readonly body: string;
  readonly locale: string;
}

/** An article in the best language there is for `locale`. Rejects when it cannot be had. */
export async function loadArticle(core: Core, id: string, locale: string): Promise<Article> {
  const { host, writeKey } = core.options;
  const reply = await fetch(`${host}/v1/articles/${encodeURIComponent(id)}?${new URLSearchParams({ writeKey, locale })}`, { credentials: "omit" });
  const found = (await reply.json()) as Partial<Article>;
  if (!reply.ok || typeof found.body !== "string") throw new Error(`article ${id}: expected 200 with a body, got ${reply.status}`);
  return { title: isText(found.title) ? found.title : id, body: found.body, locale: isText(found.locale) ? found.locale : locale };
}
