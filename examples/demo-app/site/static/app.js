/** Kanso: what every page does. What each page does stands in pages.js, the Engage panel in panel.js. */
import { PAGES } from "./pages.js";
import { startPanel } from "./panel.js";
import { $, language, page, tell, user } from "./words.js";


async function leave() {
  await tell("sign-out");
  engage.push(["reset"]);
  location.assign("/");
}

function frame() {
  $(`nav a[href="/${page}"]`)?.setAttribute("aria-current", "page");
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
    button.onclick = () => {
      document.cookie = `kanso_language=${button.dataset.language};path=/;max-age=31536000;samesite=lax`;
      location.reload();
    };
  }
  $("#sign-out").onclick = leave;
  $("#start-over").onclick = leave;
  const account = $(".account");
  document.addEventListener("click", (event) => account.contains(event.target) || (account.open = false));
}

/** The snippet remembers who is here by itself. Only when it was emptied, or the session ran out, are the two apart. */
function agreeOnWhoIsHere() {
  engage.push(["on", "ready", () => {
    if (user && engage.userId !== user.userId) engage.push(["identify", user.userId, user.traits, { userHash: user.userHash }]);
    else if (!user && engage.userId) engage.push(["reset"]);
  }]);
}

frame();
agreeOnWhoIsHere();
PAGES[page]();
startPanel();
