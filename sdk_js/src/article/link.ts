/** A link to it opens the article, on any page that has the snippet. The loader knows it as well. */
const LINK = "#engage-article=";

/** The article that the fragment of an address names. */
export function articleOf(hash: string | undefined): string | undefined {
  return hash?.split(LINK)[1];
}
