/** As the page's JSON was when the snippet came: some pages put another one in its place. */
export const { parse, stringify } = JSON;
