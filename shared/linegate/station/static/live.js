// A page that is told what to show by server-sent events, and says so when it is told nothing: what stands too long would look
// like what is now. Colours of verdicts stand only while `data-state` is "live"; see line.css.

const BEATS_END_MS = 4000; // the gate beats every 1.5 s
const AGAIN_MS = 1000;

const root = document.getElementById("live");
const alarm = document.getElementById("alarm");

// `show` gets each new state once its parts stand in the page; `keep(part)` may hold a part back; `open()` says whether a page
// that nobody sees stays in touch.
export function follow({ show = () => {}, keep = () => false, open = () => false }) {
  let source = null;
  let again = 0;
  let state = null;
  let heardAt = performance.now();
  let heardSince = new Date();
  let trouble = "";
  let now = 0; // by the gate's clock, at `heardAt`
  let version = null;

  const connect = () => {
    clearTimeout(again);
    source?.close();
    source = new EventSource(root.dataset.live);
    source.addEventListener("state", (event) => {
      heard();
      const told = JSON.parse(event.data);
      if (version !== null && told.version !== version) {
        location.reload(); // another release serves now: its page goes with it
        return;
      }
      version = told.version;
      state = told;
      for (const [id, html] of Object.entries(told.parts)) {
        // Made by the gate's templates, which escape whatever comes from outside
        if (!keep(id)) put(document.getElementById(id), html);
      }
      show(told);
      judge();
    });
    source.addEventListener("beat", (event) => {
      heard();
      const told = JSON.parse(event.data);
      now = Date.parse(told.now);
      trouble = told.trouble;
      judge();
    });
    source.onerror = () => {
      source.close();
      clearTimeout(again);
      again = setTimeout(connect, AGAIN_MS);
    };
  };

  const heard = () => {
    heardAt = performance.now();
    heardSince = new Date();
  };

  const judge = () => {
    const quiet = performance.now() - heardAt;
    if (quiet > BEATS_END_MS) {
      tell("lost", "LOST TOUCH", `No word from the gate since ${heardSince.toLocaleTimeString("en-GB")}. What stands here is old.`);
    } else if (trouble) {
      tell("lost", "NO ANSWER", `The gate can't be asked: ${trouble}. What stands here is old.`);
    } else if (state === null) {
      tell("waiting", "", "");
    } else if (state.silent) {
      tell("silent", "SILENT", `Nothing has come for ${span(now + quiet - Date.parse(state.newest))}.`);
    } else {
      tell("live", "", "");
    }
  };

  document.addEventListener("visibilitychange", () => {
    // A browser has six connections to a host for all its windows: whoever is not seen leaves its own to the others
    if (document.hidden && !open()) {
      source?.close();
      clearTimeout(again);
      heardAt = -Infinity;
      judge();
    } else if (!document.hidden && (source === null || source.readyState === EventSource.CLOSED)) {
      heard();
      state = null;
      judge();
      connect();
    }
  });
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => event.persisted && connect());
  setInterval(judge, 500);
  setInterval(shift, 60000);
  if (!document.hidden) connect();
}

const stands = new WeakMap(); // element ▶ what was put there, so that nothing is made anew that stays the same

export function put(element, html) {
  if (stands.get(element) === html) return;
  element.innerHTML = html;
  stands.set(element, html);
}

function tell(name, word, text) {
  if (root.dataset.state !== name) root.dataset.state = name;
  const [heading, line] = alarm.children;
  if (heading.textContent !== word) heading.textContent = word;
  if (line.textContent !== text) line.textContent = text;
  alarm.hidden = word === "";
}

function span(ms) {
  const minutes = Math.floor(Math.max(0, ms) / 60000);
  if (minutes < 1) return `${Math.floor(Math.max(0, ms) / 1000)} s`;
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} days`;
}

// The same pixels lit for weeks would burn in: all of it moves a little, once a minute.
let step = 0;
function shift() {
  step = (step + 1) % 8;
  root.style.translate = `${[0, 1, 2, 2, 2, 1, 0, 0][step]}px ${[0, 0, 0, 1, 2, 2, 2, 1][step]}px`;
}
