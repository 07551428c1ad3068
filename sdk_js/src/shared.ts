/** What every lazily loaded part has: each of them exports it, so that the build keeps it in one file instead of one for
 * every set of parts that happen to use the same thing. The loader takes `createStage` from whichever comes first. */
export { createStage } from "./stage/stage";
export { enterRoot } from "./ui/root";
export { prose } from "./ui/prose";
export { labelsFor } from "./ui/labels";
export { el, icon, ICONS, settled, text } from "./ui/dom";
export { safeImage, safeLink, sameOrigin } from "./markdown/url";
export { isDict, isText } from "./core/options";
