"""Help articles as the snippet reads them, in the reader's language."""

import asyncio
from typing import Any

from engage.article_search import ArticleIndex, Hit
from engage.errors import NotFound
from engage.locales import choose
from engage.rulebooks import read_definitions
from rules import Article


class Articles:
    """Articles of the rulebook in force, looked up by id, and searched."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._versions: dict[str, int] = {}
        self._articles: dict[str, dict[str, Article]] = {}
        self._indexes: dict[str, asyncio.Task[ArticleIndex]] = {}

    async def find(self, project: str, article_id: str, locale: str | None) -> dict[str, str]:
        """`{id, locale, title, body}`, body in Markdown. Raises NotFound."""
        article = (await self._current(project)).get(article_id)
        if article is None:
            raise NotFound("the id of an article", article_id, field="article_id")
        chosen = choose(article.content, locale)
        content = article.content[chosen]
        return {"id": article_id, "locale": chosen, "title": content.title, "body": content.body}

    async def search(self, project: str, query: str, locale: str | None, limit: int) -> list[Hit]:
        """The articles that fit, the best first."""
        articles = await self._current(project)
        making = self._indexes.get(project)
        if making is None:
            # Thousands of articles take a second: not on the loop, and once for all who ask meanwhile.
            making = asyncio.create_task(asyncio.to_thread(ArticleIndex, articles.values()))
            self._indexes[project] = making
        return (await asyncio.shield(making)).search(query, locale, limit)

    async def _current(self, project: str) -> dict[str, Article]:
        found = await read_definitions(self._client, project, self._versions.get(project, 0))
        if found is not None:
            self._versions[project], definitions = found
            self._articles[project] = {article.id: article for article in definitions.articles}
            self._indexes.pop(project, None)
        return self._articles.get(project, {})
