import { isDict, isText } from "./core/options";
import { anchor } from "./markdown/plain";
import { safeImage, safeLink, sameOrigin } from "./markdown/url";
import { el, appear, icon, CROSS, settled, text } from "./ui/dom";
import { labelsFor } from "./ui/labels";
import { prose } from "./ui/prose";
import { enterRoot } from "./ui/root";
import { visit } from "./ui/visit";

/** Every lazily loaded part exports what is here. The loader takes `createStage` from whichever comes first; `shared`
 * makes the build keep what it names in one file, instead of one for every set of parts that happen to use the same. */
export { createStage } from "./stage/stage";
export const shared = [anchor, appear, el, enterRoot, icon, CROSS, isDict, isText, labelsFor, prose, safeImage, safeLink, sameOrigin, settled, text, visit];
