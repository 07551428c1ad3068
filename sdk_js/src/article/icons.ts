export const BOOK = "M12 6.5C10.5 5 8 4.5 4 4.5v13.5c4 0 6.5.5 8 2 1.5-1.5 4-2 8-2V4.5c-4 0-6.5.5-8 2zm0 0V20";
export const ARROW = "M5 12h14M13 6l6 6-6 6";
export const LENS = "M4 11a7 7 0 1 0 14 0a7 7 0 1 0-14 0M16 16l4.5 4.5";
