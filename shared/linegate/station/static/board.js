// The page of one product: zoom, the golden picture in the place of the product's, and where each finding lies.
import { keys, zoomable } from "/static/zoom.js";

const LETTERS_PX = 15;
const AGAIN_MS = 2000;

const view = document.getElementById("view");
const picture = document.getElementById("picture");
const caption = document.getElementById("caption");
const swap = document.getElementById("swap");
const hide = document.getElementById("hide");
const golden = document.getElementById("golden");
const zoom = zoomable(view, picture);

document.getElementById("closer").addEventListener("click", () => zoom.step(true));
document.getElementById("farther").addEventListener("click", () => zoom.step(false));
document.getElementById("whole").addEventListener("click", () => zoom.reset());
keys(zoom, view, { g: () => swap?.click(), h: () => hide?.click(), Escape: () => zoom.reset() });

// What is in work is looked at again until there is a verdict.
if ("open" in document.getElementById("about").dataset) setTimeout(() => location.reload(), AGAIN_MS);

// ---- which picture

swap?.addEventListener("click", () => {
  const on = swap.getAttribute("aria-pressed") !== "true";
  if (on && !golden.hasAttribute("href")) golden.setAttribute("href", golden.dataset.href);
  swap.setAttribute("aria-pressed", String(on));
  view.classList.toggle("swapped", on);
});
hide?.addEventListener("click", () => {
  const on = hide.getAttribute("aria-pressed") !== "true";
  hide.setAttribute("aria-pressed", String(on));
  view.dataset.marks = on ? "shown" : "hidden";
});

function missing() {
  caption.textContent = "The picture can't be shown: it is none, or it is not kept any more.";
  view.classList.add("empty");
}
const shown = document.getElementById("crop") ?? picture;
shown.addEventListener("error", missing);
// It may have failed before anybody listened
for (const name of ["src", "href"]) if (shown.hasAttribute(name)) shown.setAttribute(name, shown.getAttribute(name));

// ---- where a finding lies

// Letters are as large as those beside the picture, whatever the picture's size.
function letters() {
  if (!picture.viewBox) return;
  const { width, height } = picture.viewBox.baseVal;
  const scale = Math.min(view.clientWidth / width, view.clientHeight / height);
  picture.style.setProperty("--letters", `${LETTERS_PX / scale}px`);
}
letters();
addEventListener("resize", letters);

const marks = new Map([...document.querySelectorAll(".mark")].map((mark) => [mark.id, mark]));
const spots = [...document.querySelectorAll(".spot[data-mark]")];

function point(mark, spot) {
  for (const each of document.querySelectorAll(".pointed")) each.classList.remove("pointed");
  marks.get(mark)?.classList.add("pointed");
  spot?.classList.add("pointed");
}
for (const spot of spots) {
  const mark = marks.get(spot.dataset.mark);
  spot.addEventListener("pointerenter", () => point(spot.dataset.mark, spot));
  spot.addEventListener("focus", () => point(spot.dataset.mark, spot));
  spot.addEventListener("click", () => {
    if (!mark) return;
    if (view.dataset.marks === "hidden") hide.click();
    zoom.show(mark.querySelector("rect").getBoundingClientRect());
    view.scrollIntoView({ block: "nearest" });
  });
}
