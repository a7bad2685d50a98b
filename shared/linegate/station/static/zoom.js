// Looking closely at what a view shows: wheel, two fingers, double click, buttons.

const CLOSEST = 16;
const STEP = 1.4;

// `content` lies in the middle of `view` and fills it; `near` is called whenever somebody has come closer. Buttons in the view
// are left alone.
export function zoomable(view, content, near = () => {}) {
  const zoom = {
    by: 1, x: 0, y: 0,
    reset() { this.by = 1; this.x = this.y = 0; put(); },
    // Closer or farther; what lies at a point of the window stays there.
    to(by, clientX, clientY) {
      const [x, y] = middle(clientX, clientY);
      const next = bounded(by);
      this.x = x - (x - this.x) * (next / this.by);
      this.y = y - (y - this.y) * (next / this.by);
      this.by = next;
      put();
      near(this.by);
    },
    step(closer) {
      const box = view.getBoundingClientRect();
      this.to(this.by * (closer ? STEP : 1 / STEP), box.x + box.width / 2, box.y + box.height / 2);
    },
    pan(x, y) { this.x += x; this.y += y; put(); near(this.by); },
    // A part of the content (a rectangle of the window) stands in the middle, with twice its size around it.
    show(rect) {
      const [x, y] = middle(rect.x + rect.width / 2, rect.y + rect.height / 2);
      const fits = Math.min(view.clientWidth / (5 * rect.width), view.clientHeight / (5 * rect.height));
      const next = bounded(this.by * fits);
      this.x = (this.x - x) * (next / this.by);
      this.y = (this.y - y) * (next / this.by);
      this.by = next;
      put();
      near(this.by);
    },
  };

  const bounded = (by) => Math.min(CLOSEST, Math.max(1, by));
  function middle(clientX, clientY) {
    const box = view.getBoundingClientRect();
    return [clientX - box.x - box.width / 2, clientY - box.y - box.height / 2];
  }
  function put() {
    const [most, high] = [(zoom.by - 1) * view.clientWidth / 2, (zoom.by - 1) * view.clientHeight / 2];
    zoom.x = Math.min(most, Math.max(-most, zoom.x));
    zoom.y = Math.min(high, Math.max(-high, zoom.y));
    content.style.transform = zoom.by === 1 ? "" : `translate(${zoom.x}px, ${zoom.y}px) scale(${zoom.by})`;
    content.style.setProperty("--near", String(zoom.by));
    view.classList.toggle("near", zoom.by > 1);
  }

  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom.to(zoom.by * Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
  }, { passive: false });

  const fingers = new Map();
  view.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) return;
    fingers.set(event.pointerId, event);
    view.setPointerCapture(event.pointerId);
  });
  view.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    if (fingers.size === 2) {
      const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, each]) => each);
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      zoom.to(zoom.by * apart(event) / Math.max(1, apart(before)), (event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
    } else if (zoom.by > 1) {
      zoom.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    }
    fingers.set(event.pointerId, event);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    view.addEventListener(kind, (event) => fingers.delete(event.pointerId));
  }
  view.addEventListener("dblclick", (event) => {
    if (!event.target.closest("button")) zoom.to(zoom.by > 1 ? 1 : 3, event.clientX, event.clientY);
  });
  return zoom;
}

// The keys by which it is done; `others` are acts of a page under further keys, or others of the same. A key with Ctrl, Alt or Meta is
// the browser's, and in a field it writes.
export function keys(zoom, view, others = {}) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const pan = (x, y) => () => zoom.pan(x * view.clientWidth / 8, y * view.clientHeight / 8);
    const arrows = zoom.by > 1 ? { ArrowLeft: pan(1, 0), ArrowRight: pan(-1, 0), ArrowUp: pan(0, 1), ArrowDown: pan(0, -1) } : {};
    const usual = { "+": () => zoom.step(true), "=": () => zoom.step(true), "-": () => zoom.step(false), "0": () => zoom.reset() };
    const act = arrows[event.key] ?? others[event.key] ?? usual[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
