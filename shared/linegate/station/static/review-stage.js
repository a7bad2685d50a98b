// The pictures of the review page: the product, the golden picture as it lies over it, marks, zoom, and boxes that are drawn.
// Everything is told in pixels of the product's picture: what is shown of it is the view of the drawing.

const SVG = "http://www.w3.org/2000/svg";
const LEAST_BOX = 3; // pixels
const MOST_ZOOM = 24;
const BLINK_MS = 400; // each way: slower than what may harm (three flashes a second)

export function make(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const rectangle = ([x, y, width, height], attributes) => make("rect", { x, y, width, height, ...attributes });

// A box with a dark line below a bright one: it shows on any picture.
function mark(box, kind) {
  const around = kind.includes("missed") ? box : [box[0] - 2, box[1] - 2, box[2] + 4, box[3] + 4];
  return make("g", { class: `mark ${kind}` }, rectangle(around, { class: "under" }), rectangle(around, { class: "over" }));
}

export class Stage {
  constructor(product, { onReady, onDrawn }) {
    this.product = product;
    this.onReady = onReady;
    this.onDrawn = onDrawn;
    this.here = document.querySelector("#here svg");
    this.good = document.querySelector("#good svg");
    this.figures = [this.here.parentElement, this.good.parentElement];
    this.pictures = new Map(); // address ▶ "loading", "ready", "gone"
    this.whole = false;
    this.drawing = false;
    this.box = null;
    this.pointers = new Map();
    this.good.parentElement.classList.toggle("without", !product.golden);
    for (const svg of [this.here, this.good]) this.listen(svg);
    new ResizeObserver(() => this.relabel()).observe(this.here);
  }

  address(index, which) {
    const path = index === null ? "whole" : `findings/${index}`;
    const version = which === "golden" ? `?v=${this.product.golden}` : "";
    return `/pictures/${encodeURIComponent(this.product.id)}/${path}/${which}${version}`;
  }

  // Whether a person can have seen the finding (null: the whole product): its picture is there.
  state(index) {
    return this.pictures.get(this.address(index, "crop")) ?? "loading";
  }

  // Shows a finding, or the whole product where there is none; `marks` are [box, kind, label].
  show(finding, marks) {
    const index = finding?.index ?? null;
    this.whole = finding === null;
    this.base = finding ? finding.cut : [0, 0, ...this.product.size];
    this.marks = marks;
    this.view = [...this.base];
    for (const svg of [this.here, this.good]) svg.replaceChildren();
    this.here.append(this.picture(index, "crop"));
    if (this.product.golden) {
      this.here.append(this.picture(index, "golden"));
      this.good.append(this.picture(index, "golden"));
    }
    for (const svg of [this.here, this.good]) svg.append(make("g", { class: "marks" }));
    this.draw();
  }

  // The next one's pictures are there before it is asked for.
  prepare(finding) {
    for (const which of this.product.golden ? ["crop", "golden"] : ["crop"]) new Image().src = this.address(finding.index, which);
  }

  remark(marks) {
    this.marks = marks;
    this.draw();
  }

  draw() {
    for (const svg of [this.here, this.good]) {
      const group = svg.querySelector(".marks");
      group.replaceChildren();
      for (const [box, kind, label] of this.marks) {
        group.append(mark(box, kind));
        if (label) group.append(make("text", { x: box[0], y: box[1], class: "label" }, label));
      }
      if (this.box) group.append(mark(this.box, "missed drawn"));
    }
    this.look();
  }

  look() {
    for (const svg of [this.here, this.good]) svg.setAttribute("viewBox", this.view.join(" "));
    this.figures.forEach((figure) => figure.classList.toggle("zoomed", this.view[2] < this.base[2] - 0.01));
    this.relabel();
  }

  relabel() {
    if (!this.view) return;
    for (const svg of [this.here, this.good]) {
      const scale = this.view[2] / Math.max(1, Math.min(svg.clientWidth, (svg.clientHeight * this.view[2]) / this.view[3]));
      for (const text of svg.querySelectorAll(".label")) {
        text.setAttribute("font-size", 15 * scale);
        text.setAttribute("dy", -7 * scale);
        text.setAttribute("stroke-width", 4 * scale);
      }
    }
  }

  picture(index, which) {
    const address = this.address(index, which);
    const [x, y, width, height] = this.base;
    const picture = make("image", { href: address, x, y, width, height, class: which, preserveAspectRatio: "none" });
    const told = this.figures[which === "crop" ? 0 : 1].querySelector(".missing");
    told.hidden = true;
    const now = (state) => {
      this.pictures.set(address, state);
      picture.classList.add(state);
      if (!picture.isConnected) return;
      if (state === "gone") {
        told.textContent = which === "crop" ? "Its picture can't be loaded." : "The golden picture can't be loaded.";
        told.hidden = false;
      }
      this.onReady();
    };
    picture.addEventListener("load", () => now("ready"));
    picture.addEventListener("error", () => now("gone"));
    return picture;
  }

  // --- comparing in place

  swap(on = !this.swapped) {
    this.swapped = on && Boolean(this.product.golden);
    this.figures[0].classList.toggle("swapped", this.swapped);
    this.figures[0].querySelector("figcaption").textContent = this.swapped ? "Golden picture" : "This product";
  }

  blink(on = !this.blinking) {
    clearInterval(this.blinking);
    this.blinking = on && this.product.golden ? setInterval(() => this.swap(), BLINK_MS) : undefined;
    this.swap(Boolean(this.blinking));
    return Boolean(this.blinking);
  }

  // --- zoom, with (x, y) kept where it is

  zoom(factor, x = this.view[0] + this.view[2] / 2, y = this.view[1] + this.view[3] / 2) {
    const [left, top, width] = this.view;
    const wide = Math.min(this.base[2], Math.max(this.base[2] / MOST_ZOOM, width / factor));
    const real = width / wide;
    this.view = [x - (x - left) / real, y - (y - top) / real, wide, (wide * this.base[3]) / this.base[2]];
    this.keepInside();
  }

  all() {
    this.view = [...this.base];
    this.look();
  }

  move(dx, dy) {
    this.view[0] += dx;
    this.view[1] += dy;
    this.keepInside();
  }

  keepInside() {
    for (const side of [0, 1]) {
      const last = this.base[side] + this.base[side + 2] - this.view[side + 2];
      this.view[side] = Math.min(Math.max(this.view[side], this.base[side]), last);
    }
    this.look();
  }

  // --- drawing

  begin() {
    this.drawing = true;
    this.figures.forEach((figure) => figure.classList.add("drawing"));
  }

  stop() {
    this.drawing = false;
    this.box = null;
    this.figures.forEach((figure) => figure.classList.remove("drawing"));
    this.draw();
  }

  // An arrow makes a box in the middle of what is shown, moves it, or (`size`) makes it larger or smaller.
  arrow(dx, dy, size) {
    const [left, top, width, height] = this.view;
    if (!this.box) this.box = [left + 0.45 * width, top + 0.45 * height, 0.1 * width, 0.1 * height];
    else {
      const [x, y, wide, high] = this.box;
      const [mx, my] = [(dx * width) / 100, (dy * height) / 100];
      this.box = size ? [x, y, Math.max(LEAST_BOX, wide + mx), Math.max(LEAST_BOX, high + my)] : [x + mx, y + my, wide, high];
    }
    this.box = this.inside(this.box);
    this.draw();
  }

  inside([x, y, width, height]) {
    const [wide, high] = this.product.size;
    const w = Math.min(width, wide);
    const h = Math.min(height, high);
    return [Math.min(Math.max(0, x), wide - w), Math.min(Math.max(0, y), high - h), w, h];
  }

  listen(svg) {
    svg.addEventListener("wheel", (event) => {
      event.preventDefault();
      const [x, y] = this.point(svg, event);
      this.zoom(event.deltaY < 0 ? 1.25 : 0.8, x, y);
    }, { passive: false });
    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      svg.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
      if (this.drawing && this.pointers.size === 1) this.start = this.point(svg, event);
      else this.start = null;
    });
    svg.addEventListener("pointermove", (event) => {
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      const now = [event.clientX, event.clientY];
      if (this.pointers.size === 2) this.pinch(svg, event.pointerId, before, now);
      else if (this.start) this.stretch(this.point(svg, event));
      else {
        const scale = this.scale(svg);
        this.move((before[0] - now[0]) * scale, (before[1] - now[1]) * scale);
      }
      this.pointers.set(event.pointerId, now);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      svg.addEventListener(end, (event) => {
        this.pointers.delete(event.pointerId);
        const drawn = this.start && end === "pointerup" && this.box && Math.min(this.box[2], this.box[3]) >= LEAST_BOX;
        this.start = null;
        if (drawn) this.onDrawn(this.box);
      });
    }
  }

  stretch([x, y]) {
    const [sx, sy] = this.start;
    const [left, top, right, bottom] = [Math.min(x, sx), Math.min(y, sy), Math.max(x, sx), Math.max(y, sy)];
    const [wide, high] = this.product.size;
    const [l, t] = [Math.max(0, left), Math.max(0, top)];
    this.box = [l, t, Math.min(wide, right) - l, Math.min(high, bottom) - t];
    if (this.box[2] > 0 && this.box[3] > 0) this.draw();
    else this.box = null;
  }

  pinch(svg, moved, before, now) {
    const [other] = [...this.pointers].filter(([id]) => id !== moved).map(([, at]) => at);
    const apart = (a, b) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
    const middle = { clientX: (now[0] + other[0]) / 2, clientY: (now[1] + other[1]) / 2 };
    this.zoom(apart(now, other) / apart(before, other), ...this.point(svg, middle));
  }

  point(svg, { clientX, clientY }) {
    const at = new DOMPoint(clientX, clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [at.x, at.y];
  }

  scale(svg) {
    return 1 / svg.getScreenCTM().a;
  }
}
