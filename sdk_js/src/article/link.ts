/** A link to it opens the article, on any page that has the snippet. */
const LINK = "#engage-article=";

/** The article that the fragment of an address names. */
export function articleOf(hash: string): string | undefined {
  return hash.split(LINK)[1];
}
