"""Help articles as the snippet reads them, in the reader's language."""

from typing import Any

from engage.errors import NotFound
from engage.locales import choose
from engage.rulebooks import read_definitions
from rules import Article, Definitions


class Articles:
    """Articles of the rulebook in force, looked up by id."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._versions: dict[str, int] = {}
        self._articles: dict[str, dict[str, Article]] = {}

    async def find(self, project: str, article_id: str, locale: str | None) -> dict[str, str]:
        """`{id, locale, title, body}`, body in Markdown. Raises NotFound."""
        found = await read_definitions(self._client, project, self._versions.get(project, 0))
        if found is not None:
            self._versions[project], definitions = found
            self._articles[project] = _by_id(definitions)
        article = self._articles.get(project, {}).get(article_id)
        if article is None:
            raise NotFound("the id of an article", article_id, field="article_id")
        chosen = choose(article.content, locale)
        content = article.content[chosen]
        return {"id": article_id, "locale": chosen, "title": content.title, "body": content.body}


def _by_id(definitions: Definitions) -> dict[str, Article]:
    return {article.id: article for article in definitions.articles}
