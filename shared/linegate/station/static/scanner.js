// A scanner types as a keyboard does, only faster than a person can, and ends with Enter.

const GAP_MS = 50; // two keys of a person lie further apart
const LEAST = 4; // a shorter text is no serial

// `scanned` is given a text that was scanned, from wherever on the page; `typed` a key that a person pressed outside of fields,
// as soon as nothing followed it; `hasty` is told of keys that came like a scanner's and yet were no scan: nothing may act on them.
export function listen({ scanned, typed, hasty }) {
  let burst = null;

  function over() {
    const { text, field, timer } = burst;
    clearTimeout(timer);
    burst = null;
    if (field) return;
    if (text.length === 1) typed(text);
    else hasty(text);
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.key === "Shift") return;
    const follows = burst !== null && event.timeStamp - burst.last < GAP_MS;
    if (burst !== null && !follows) over();
    if (event.key === "Enter" && follows) {
      const { text, field, before, timer } = burst;
      if (text.length < LEAST && field) return over();
      stop(event); // and presses nothing that has the focus
      clearTimeout(timer);
      burst = null;
      if (text.length < LEAST) return hasty(text);
      if (field) {
        field.value = before; // what was scanned was not meant for it
        field.dispatchEvent(new Event("input"));
      }
      return scanned(text);
    }
    if (event.key.length !== 1 || event.repeat) {
      if (follows) over();
      return;
    }
    if (follows) {
      clearTimeout(burst.timer);
      burst.text += event.key;
      burst.last = event.timeStamp;
      if (!burst.field) stop(event);
    } else {
      const field = event.target.closest?.("input:not([type=checkbox]), textarea") ?? null;
      if (!field && event.key === " ") return; // presses what has the focus
      if (!field) stop(event);
      burst = { text: event.key, field, before: field?.value, last: event.timeStamp };
    }
    burst.timer = setTimeout(over, GAP_MS + 5);
  }

  function stop(event) {
    event.preventDefault();
    event.stopPropagation();
  }

  document.addEventListener("keydown", onKey, true);
}
