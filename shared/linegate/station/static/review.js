// The review page: findings one by one, a key for each ruling, and what is decided in the end. Every finding that is ruled on
// was on the screen.
import { listen } from "./scanner.js";
import { Stage, make } from "./review-stage.js";
import { again, forget, keep, kept, send, unanswered } from "./review-sending.js";

const $ = (id) => document.getElementById(id);
const product = JSON.parse($("product")?.textContent ?? "null");
const RULINGS = ["true_defect", "false_call", "accepted", "repaired"];
const WORDS = { true_defect: "true defect", false_call: "false call", accepted: "accepted as is", repaired: "repaired", open: "no ruling yet" };
const SHOWN_MS = 5000;

// --- what every state of the page has: notes, help, the scanner

let toasted;
function say(text) {
  clearTimeout(toasted);
  $("toast").textContent = text;
  $("toast").classList.add("shown");
  toasted = setTimeout(() => $("toast").classList.remove("shown"), SHOWN_MS);
}

const flash = sessionStorage.getItem("linegate-said");
if (flash) {
  sessionStorage.removeItem("linegate-said");
  say(flash);
}

const others = $("others");
if (others && matchMedia("(max-width: 1099px)").matches) others.open = false;
document.querySelector(".queue [aria-current=page]")?.scrollIntoView({ block: "nearest" });

const single = $("single");
single.checked = localStorage.getItem("linegate-single-keys") !== "off";
single.addEventListener("change", () => localStorage.setItem("linegate-single-keys", single.checked ? "on" : "off"));

function find(serial) {
  const query = new URLSearchParams({ serial, ...(product?.line ? { line: product.line } : {}) });
  location.assign(`/review/find?${query}`);
}

function dialogOpen() {
  return document.querySelector("dialog[open]");
}

function ask(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true }));
}

const deeds = { "?": () => ask($("help")) };

listen({
  scanned: find,
  hasty: () => say("That came as fast as from a scanner, and was no serial. Nothing was ruled."),
  typed(key) {
    if (dialogOpen() || !single.checked) return;
    deeds[key.toLowerCase()]?.();
  },
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) deeds[button.dataset.do]?.();
});

// Where nothing waits, what comes is shown by itself.
if (document.querySelector(".calm")) {
  setInterval(async () => {
    if (document.hidden || $("serial").value) return;
    const text = await fetch(location.href).then((answer) => answer.text(), () => "");
    if (text.includes("id=\"others\"")) location.reload();
  }, 5000);
}

// --- the product

if (product) desk();

function desk() {
  const entered = { rulings: {}, missed: [], looked: false, comment: "", ...kept(product) };
  for (const finding of product.findings) if (finding.ruled && !(finding.index in entered.rulings)) finding.before = finding.ruled;
  const past = [];
  let current = 0;
  let whole = product.findings.length === 0;
  let marked = true;
  let busy = false;
  const stage = product.size && new Stage(product, { onReady: told, onDrawn: (box) => name(box) });

  const finding = () => (whole ? null : (product.findings[current] ?? null));
  const ruling = (each) => entered.rulings[each.index];
  const open = () => product.findings.filter((each) => each.open && !ruling(each));
  const defects = () => product.findings.filter((each) => ruling(each) === "true_defect").length + entered.missed.length;

  function change(work) {
    if (!product.may) return say("You may look here. To decide, enter with a name that has the role review.");
    past.push(JSON.stringify({ entered, current, whole }));
    work();
    save();
    render();
  }

  function save() {
    keep(product, entered);
  }

  // --- what is shown

  function marks() {
    if (!marked) return [];
    const drawn = entered.missed.filter((each) => each.box).map((each, at) => [corners(each.box), "missed", `M${at + 1}`]);
    if (!whole) return finding() ? [[finding().box, `one ${ruling(finding()) ?? "open"}`, ""]] : [];
    const found = product.findings.filter((each) => each.open || ruling(each));
    return [...found.map((each) => [each.box, `one ${ruling(each) ?? "open"}`, String(each.number)]), ...drawn];
  }

  const corners = ({ x, y, width, height }) => [x - width / 2, y - height / 2, width, height];

  function show() {
    stage?.blink(false);
    $("blink").setAttribute("aria-pressed", "false");
    stage?.show(finding(), marks());
    const next = product.findings[current + 1];
    if (stage && next) stage.prepare(next);
    render();
  }

  function render() {
    const each = finding();
    const said = each && ruling(each);
    $("whole").setAttribute("aria-pressed", String(whole));
    $("work").classList.toggle("whole", whole);
    $("name").textContent = each ? `${each.number}. ${each.name}` : "The whole product";
    $("facts").replaceChildren(...facts(each));
    $("says").replaceChildren(...says(each));
    $("says").tabIndex = $("says").scrollHeight > $("says").clientHeight ? 0 : -1; // what scrolls can be reached by keys
    for (const button of document.querySelectorAll("[data-ruling]")) {
      const pressed = said === button.dataset.ruling;
      button.setAttribute("aria-pressed", String(pressed));
      button.classList.toggle("before", !said && each?.before === button.dataset.ruling);
      button.disabled = !product.may || each === null;
    }
    $("rulings").hidden = product.findings.length === 0;
    $("position").textContent = each ? `${current + 1} of ${product.findings.length}` : product.findings.length ? "all" : "";
    for (const arrow of ["back", "on"]) document.querySelector(`[data-do=${arrow}]`).hidden = product.findings.length < 2;
    document.querySelector("#here svg").setAttribute("aria-label", each ? `This product: ${each.name}` : "This product, whole");
    stage?.remark(marks());
    list();
    map();
    $("looked").checked = entered.looked;
    $("looked").disabled = $("comment").disabled = !product.may;
    if ($("comment") !== document.activeElement) $("comment").value = entered.comment;
    $("why").textContent = product.look ? `Needed to pass it: ${product.look}.` : "";
    $("undo").disabled = past.length === 0;
    $("blink").disabled = !product.golden;
    told();
  }

  function facts(each) {
    if (!each) return [];
    const texts = [`confidence ${each.confidence}`, ...each.more];
    return texts.map((text) => Object.assign(document.createElement("span"), { textContent: text }));
  }

  function says(each) {
    if (!each) return [];
    const word = Object.assign(document.createElement("b"), { textContent: each.said, className: each.result.toLowerCase() });
    const by = Object.assign(document.createElement("span"), { textContent: each.by ? ` (${each.by})` : "", className: "soft" });
    return ["The machine says: ", word, by, ". ", each.reason];
  }

  const icon = (name) => $(`icon-${name}`).content.cloneNode(true);

  function list() {
    $("findings")?.replaceChildren(
      ...product.findings.map((each, at) => {
        const button = document.createElement("button");
        const state = ruling(each) ?? "open";
        const cleared = !each.open && !ruling(each);
        button.type = "button";
        button.className = `${state}${cleared ? " cleared" : ""}`;
        if (!whole && at === current) button.setAttribute("aria-current", "true");
        const name = Object.assign(document.createElement("span"), { textContent: `${each.number}. ${each.name}` });
        const word = Object.assign(document.createElement("small"), { textContent: cleared ? "cleared by the machine" : WORDS[state] });
        button.append(icon(state), name, word);
        button.addEventListener("click", () => go(at));
        const item = document.createElement("li");
        item.append(button);
        return item;
      }),
    );
    if (!whole && past.length) keepInView($("findings")?.children[current]);
    $("missed").replaceChildren(
      ...entered.missed.map((each, at) => {
        const item = document.createElement("li");
        const text = each.class_name.replaceAll("_", " ");
        const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "Remove" });
        remove.setAttribute("aria-label", `Remove ${text}`);
        remove.addEventListener("click", () => change(() => entered.missed.splice(at, 1)));
        item.append(icon("true_defect"), Object.assign(document.createElement("span"), { textContent: `M${at + 1}. ${text}` }), remove);
        return item;
      }),
    );
  }

  function keepInView(item) {
    const box = document.querySelector(".sheet .scroll");
    if (item && box.scrollHeight > box.clientHeight) item.scrollIntoView({ block: "nearest" });
  }

  function map() {
    const svg = $("map");
    if (!svg) return;
    if (!svg.firstChild) {
      const [width, height] = product.size;
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.append(make("image", { href: stage.address(null, "crop"), width, height }), make("g"));
    }
    const least = Math.max(...product.size) / 26;
    svg.lastChild.replaceChildren(
      ...product.findings.filter((each) => each.open || ruling(each)).map((each) => {
        const [x, y, width, height] = each.box;
        const r = Math.max(width, height, least) / 2;
        const here = each === finding();
        const at = { cx: x + width / 2, cy: y + height / 2, r: here ? 1.5 * r : r };
        return make("g", { class: `spot ${ruling(each) ?? "open"}${here ? " here" : ""}` }, make("circle", { ...at, class: "under" }), make("circle", { ...at, class: "over" }));
      }),
      ...entered.missed.filter((each) => each.box).map(({ box }) => {
        const at = { cx: box.x, cy: box.y, r: Math.max(box.width, box.height, least) / 2 };
        return make("g", { class: "spot missed" }, make("circle", { ...at, class: "under" }), make("circle", { ...at, class: "over" }));
      }),
    );
  }

  // What a PASS still lacks, or "" where it can be decided; the gate asks for the same.
  function lacking() {
    if (defects()) return "";
    const left = open().length;
    const rest = left ? `${left === 1 ? "One finding has" : `${left} findings have`} no ruling yet` : "";
    const look = product.look && !entered.looked ? "somebody must look at the whole product" : "";
    const said = [rest, look].filter(Boolean).join("; ");
    return said && `${said[0].toUpperCase()}${said.slice(1)}.`;
  }

  function told() {
    const lacks = lacking();
    const left = open().length;
    const ready = defects()
      ? `FAIL: ${defects()} defect${defects() === 1 ? "" : "s"}.${left ? ` ${left} without a ruling.` : ""}`
      : "PASS: nothing is left to rule on.";
    $("lacking").textContent = lacks || ready;
    $("decide").disabled = Boolean(lacks) || !product.may || busy;
    $("decide").classList.toggle("ready", !lacks);
  }

  // --- what a person does

  function rule(disposition) {
    const each = finding();
    if (!each) return say("Choose a finding first: a ruling is about one that is on the screen.");
    const state = stage?.state(each.index) ?? "ready";
    if (state === "loading") return say("Its picture has not come yet. Nothing was ruled.");
    if (state === "gone" && !entered.looked) return say("Its picture can't be loaded. Look at the product itself and say so (L); then rule.");
    const at = current;
    change(() => {
      entered.rulings[each.index] = disposition;
      advance(at);
    });
    say(`${each.number}. ${each.name}: ${WORDS[disposition]}.`);
    show();
  }

  function advance(at) {
    const order = [...product.findings.keys()];
    const next = [...order.slice(at + 1), ...order.slice(0, at)].find((one) => product.findings[one].open && !ruling(product.findings[one]));
    if (next !== undefined) current = next;
    else if (product.look && !entered.looked) whole = true;
  }

  function go(at) {
    if (!product.findings.length) return;
    current = (at + product.findings.length) % product.findings.length;
    whole = false;
    stopDrawing();
    show();
  }

  function undo() {
    if (!past.length) return;
    const before = JSON.parse(past.pop());
    ({ current, whole } = before);
    Object.assign(entered, before.entered);
    save();
    show();
    say("Undone.");
  }

  // That they looked at the whole product says nobody before whom it was not.
  function look() {
    if (!entered.looked && stage && !sawWhole()) {
      if (!whole) {
        whole = true;
        show();
      }
      return say("This is the whole product. Look at it; then say so.");
    }
    change(() => (entered.looked = !entered.looked));
  }

  const sawWhole = () => whole && stage.state(null) !== "loading";

  function startDrawing() {
    if (!product.may || !stage) return;
    if (!whole) {
      whole = true;
      show();
    }
    stage.begin();
    $("drawing").hidden = false;
    $("drawing").scrollIntoView({ block: "nearest" });
  }

  function stopDrawing() {
    stage?.stop();
    $("drawing").hidden = true;
  }

  const naming = $("naming");
  const className = $("class-name");
  for (const each of product.classes) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: each.replaceAll("_", " ") });
    button.addEventListener("click", () => {
      className.value = each;
      naming.close("named");
    });
    $("classes").append(button);
  }

  async function name(box) {
    className.value = "";
    const answer = ask(naming);
    className.focus();
    const said = await answer;
    const text = className.value.trim();
    if (said !== "named" || !text) return stopDrawing();
    change(() => {
      const place = box && { x: box[0] + box[2] / 2, y: box[1] + box[3] / 2, width: box[2], height: box[3] };
      entered.missed.push({ class_name: text, box: place });
    });
    say(`Missed by the machine: ${text}.`);
    stopDrawing();
    render();
  }

  async function decide() {
    if ($("decide").disabled) return say(lacking() || "");
    stopDrawing();
    const verdict = defects() ? "FAIL" : "PASS";
    $("decided").replaceChildren($(`verdict-${verdict}`).content.cloneNode(true));
    const lines = RULINGS.map((each) => [each, product.findings.filter((one) => ruling(one) === each)])
      .filter(([, found]) => found.length)
      .map(([each, found]) => `${found.length} ${WORDS[each]}: ${few(found.map((one) => `${one.number}. ${one.name}`))}`);
    if (entered.missed.length) lines.push(`${entered.missed.length} missed by the machine: ${few(entered.missed.map((one) => one.class_name.replaceAll("_", " ")))}`);
    if (open().length) lines.push(`without a ruling: ${few(open().map((one) => `${one.number}. ${one.name}`))}`);
    lines.push(entered.looked ? "The whole product was looked at" : "The whole product was not looked at");
    if (entered.comment.trim()) lines.push(`“${entered.comment.trim()}”`);
    $("said").replaceChildren(...lines.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
    const answer = ask($("summary"));
    $("send").focus();
    if ((await answer) === "send") await give();
  }

  const few = (names) => `${names.slice(0, 4).join(", ")}${names.length > 4 ? ` and ${names.length - 4} more` : ""}`;

  async function give() {
    busy = true;
    told();
    document.body.classList.add("sending");
    const rulings = Object.entries(entered.rulings).map(([index, disposition]) => ({ index: Number(index), disposition }));
    const said = { rulings, missed: entered.missed, looked: entered.looked, comment: entered.comment.trim() };
    hold(await send(product, said, waits));
  }

  // The answer to a decision: on to the next product, or why it was not taken.
  async function hold(answer) {
    busy = false;
    document.body.classList.remove("sending");
    $("kept").hidden = true;
    if (answer.outcome === "counts") {
      const name = $("title").textContent;
      sessionStorage.setItem("linegate-said", `${name}: ${answer.verdict} is revision ${answer.revision}.`);
      return location.assign(answer.next);
    }
    $("refusal").textContent = answer.detail || `The station answered ${answer.status}.`;
    await ask($("refused"));
    if (answer.outcome === "refused") location.assign(`/review/${encodeURIComponent(product.id)}${location.search}`);
    else told();
  }

  function waits(tries, why) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Send again" });
    button.addEventListener("click", again);
    const text = `Not sent yet: ${why}. What you decided is kept here, and sent again by itself. `;
    if ($("kept").hidden) $("kept").replaceChildren(document.createTextNode(text), button);
    $("kept").firstChild.textContent = text;
    $("kept").hidden = false;
    if (tries === 1) $("kept").scrollIntoView({ block: "nearest" });
  }

  // --- keys and buttons

  const next = () => document.querySelector(".queue li:has([aria-current=page]) + li a") ?? document.querySelector(".queue ol a");
  Object.assign(deeds, {
    back: () => go(whole ? current : current - 1),
    on: () => go(whole ? current : current + 1),
    w: () => {
      if (!stage || (whole && !product.findings.length)) return;
      whole = !whole;
      stopDrawing();
      show();
    },
    b: () => stage && $("blink").setAttribute("aria-pressed", String(stage.blink())),
    g: () => stage?.swap(),
    h: () => {
      marked = !marked;
      render();
    },
    m: startDrawing,
    placeless: () => name(null),
    stop: stopDrawing,
    u: undo,
    d: decide,
    n: () => next() && location.assign(next().href),
    l: look,
    c: () => $("comment").focus(),
    "+": () => stage?.zoom(1.5),
    "=": () => stage?.zoom(1.5),
    "-": () => stage?.zoom(1 / 1.5),
    0: () => stage?.all(),
  });
  RULINGS.forEach((each, at) => (deeds[at + 1] = () => rule(each)));
  for (const button of document.querySelectorAll("[data-ruling]")) button.addEventListener("click", () => rule(button.dataset.ruling));
  $("looked").addEventListener("change", (event) => {
    event.target.checked = entered.looked;
    look();
  });
  $("comment").addEventListener("input", (event) => {
    entered.comment = event.target.value;
    save();
  });

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest("input, textarea, select");
    if (event.key === "Escape" && field === $("comment")) return field.blur();
    if (dialogOpen() || field || event.metaKey || event.altKey) return;
    if (event.ctrlKey) {
      if (event.key === "z") undo();
      return;
    }
    const arrow = ARROWS[event.key];
    if (stage?.drawing) {
      if (arrow) stage.arrow(...arrow, event.shiftKey);
      else if (event.key === "Enter" && stage.box) name(stage.box);
      else if (event.key === "Escape") stopDrawing();
      else return;
      event.preventDefault();
    } else if (arrow?.[0]) {
      event.preventDefault();
      if (arrow[0] < 0) deeds.back();
      else deeds.on();
    } else if (event.key === "Enter" && event.target === document.body) decide();
  });

  // --- as it was left

  const first = product.findings.findIndex((each) => each.open && !ruling(each));
  current = Math.max(0, first);
  show();
  const waiting = unanswered(product.person).find((one) => one.product.id === product.id && one.product.seen === product.seen);
  if (waiting && product.may) {
    busy = true;
    told();
    send(product, waiting.entered, waits).then(hold);
  }
  for (const one of unanswered(product.person)) {
    if (one.product.id !== product.id) send(one.product, one.entered, () => {}).then((answer) => say(`An earlier decision: ${answer.summary ?? answer.detail}`));
    else if (one.product.seen !== product.seen) forget(one.product);
  }
}
