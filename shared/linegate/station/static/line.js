// The page of a line: the last product, or for a while an earlier one that a person chose; zoom; sound on FAIL.
import { follow, put } from "/static/live.js";
import { keys, zoomable } from "/static/zoom.js";

const RETURNS_MS = 30000; // nobody touched the page for so long: the last product is shown again

const root = document.getElementById("live");
const product = document.getElementById("product");
const strip = document.getElementById("strip");
const held = document.getElementById("held");
const view = document.getElementById("view");
const picture = document.getElementById("picture");
const caption = document.getElementById("caption");
const sound = document.getElementById("sound");
const said = document.getElementById("said");

let last = null; // the latest state
let chosen = ""; // the product that a person looks at; "" for the last one
let touchedAt = 0;
let focused = "";

follow({
  keep: (part) => {
    if (part === "strip") focused = document.activeElement?.closest("#strip [data-id]")?.dataset.id ?? "";
    return part === "product" && chosen !== "";
  },
  open: () => sounds.wanted,
  show: (state) => {
    if (last !== null && state.marker !== last.marker && state.verdict === "FAIL") sounds.play();
    const changed = last === null || state.marker !== last.marker;
    last = state;
    if (chosen === "") {
      look();
      if (changed && state.lead) said.textContent = `${state.verdict || "In work"}: ${current().serial}`;
    }
    mark();
    // Who goes through the strip by keyboard stays where they were
    if (focused !== "") strip.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  },
});

const current = () => product.querySelector(".now").dataset;

// ---- which product: the last twenty stand from left to right, the newest first

let aim = ""; // what was asked for last: of several that were chosen in a hurry, only that one is shown
async function choose(id) {
  if (id === last?.lead) {
    back();
    return;
  }
  touchedAt = Date.now();
  aim = id;
  const answer = await fetch(root.dataset.products + encodeURIComponent(id)).catch(() => null);
  if (!answer?.ok) return;
  const html = await answer.text();
  if (aim !== id) return;
  put(product, html);
  look();
  hold();
}

// What is shown now stays, however the line goes on.
function hold() {
  chosen = current().id;
  root.dataset.held = "";
  held.hidden = false;
  held.querySelector("b").textContent = current().serial;
  mark();
}

function back() {
  chosen = aim = "";
  delete root.dataset.held;
  held.hidden = true;
  if (last) put(product, last.parts.product);
  look();
  zoom.reset();
  mark();
}

function move(by) {
  const ids = [...strip.querySelectorAll("[data-id]")].map((each) => each.dataset.id);
  const at = ids.indexOf(aim || current().id);
  const id = ids[Math.min(ids.length - 1, Math.max(0, at + by))];
  if (id !== undefined) choose(id);
}

function mark() {
  const id = current().id;
  for (const each of strip.querySelectorAll("[data-id]")) {
    if (each.dataset.id === id) each.setAttribute("aria-current", "true");
    else each.removeAttribute("aria-current");
  }
}

strip.addEventListener("click", (event) => {
  const id = event.target.closest("[data-id]")?.dataset.id;
  if (id) choose(id);
});
document.getElementById("back").addEventListener("click", back);
setInterval(() => {
  if (chosen !== "" && Date.now() - touchedAt > RETURNS_MS) back();
}, 1000);
for (const kind of ["pointerdown", "wheel", "keydown"]) {
  addEventListener(kind, () => { touchedAt = Date.now(); }, { passive: true });
}

// ---- its picture

let wanted = null;
function look() {
  const { picture: address, verdict, serial } = current();
  if (address === wanted) return;
  wanted = address;
  picture.hidden = true; // never one product's picture beside another one's verdict
  picture.removeAttribute("src");
  zoom.reset();
  caption.textContent = "";
  if (address === "") {
    caption.textContent = verdict ? "There is no picture that could be shown." : "";
    return;
  }
  picture.alt = verdict ? `The annotated picture of ${serial}` : `The picture of ${serial}`;
  picture.src = address;
}
picture.addEventListener("load", () => { picture.hidden = false; });
picture.addEventListener("error", () => {
  if (picture.getAttribute("src")) caption.textContent = "The picture can't be shown.";
});

// ---- zoom: wheel, two fingers, buttons, keys

// Who looks closely is not to lose the product to the next one.
const zoom = zoomable(view, picture, (by) => { if (by > 1 && chosen === "" && current().id) hold(); });
document.getElementById("closer").addEventListener("click", () => zoom.step(true));
document.getElementById("farther").addEventListener("click", () => zoom.step(false));
document.getElementById("whole").addEventListener("click", whole);

function whole() {
  if (chosen !== "" && chosen === last?.lead) back();
  else zoom.reset();
}

// ---- sound: a browser plays none before somebody has touched the page

const sounds = {
  context: null,
  wanted: remembered(),
  async turn(on) {
    this.wanted = on;
    try { localStorage.setItem("sound", on ? "on" : "off"); } catch { /* a browser that keeps nothing */ }
    if (on) await this.wake();
    this.say();
  },
  async wake() {
    this.context ??= new AudioContext();
    // Without a touch it never answers
    await Promise.race([this.context.resume().catch(() => {}), new Promise((done) => setTimeout(done, 300))]);
    this.say();
  },
  say() {
    const runs = this.context?.state === "running";
    sound.setAttribute("aria-pressed", String(this.wanted));
    sound.dataset.sound = this.wanted ? (runs ? "on" : "asleep") : "off";
    sound.querySelector(".label").textContent = this.wanted ? (runs ? "Sound is on" : "Touch the page for sound") : "Sound is off";
  },
  play() {
    if (!this.wanted || this.context?.state !== "running") return;
    sound.dataset.played = String(Number(sound.dataset.played ?? 0) + 1);
    for (const [at, tone] of [[0, 880], [0.22, 660], [0.44, 880]]) {
      const [from, oscillator, gain] = [this.context.currentTime + at, this.context.createOscillator(), this.context.createGain()];
      oscillator.type = "square";
      oscillator.frequency.value = tone;
      gain.gain.setValueAtTime(0.25, from);
      gain.gain.exponentialRampToValueAtTime(0.001, from + 0.2);
      oscillator.connect(gain).connect(this.context.destination);
      oscillator.start(from);
      oscillator.stop(from + 0.2);
    }
  },
};
function remembered() {
  try { return localStorage.getItem("sound") === "on"; } catch { return false; }
}
sound.addEventListener("click", () => sounds.turn(!sounds.wanted || sounds.context?.state !== "running"));
addEventListener("pointerdown", () => { if (sounds.wanted && sounds.context?.state !== "running") sounds.wake(); });
sounds.say();
if (sounds.wanted) sounds.wake();

// ---- keys

keys(zoom, view, {
  "0": whole,
  ArrowLeft: () => move(-1), ArrowRight: () => move(1),
  Escape: back, Home: back,
  s: () => sound.click(),
});

look();
mark();
