// What was entered is kept in the browser until the gate has answered: no network and no restart loses it. Sent twice, it counts
// once, since the gate knows a decision by what it says.

const PREFIX = "linegate-review:";
const KEPT_MS = 7 * 24 * 3600 * 1000;
const WAITS_MS = [1000, 2000, 4000, 8000, 15000, 30000];
const PATIENCE_MS = 20000;

const key = (product) => `${PREFIX}${product.person}:${product.id}:${product.seen}`;

export function kept(product) {
  try {
    const { entered } = JSON.parse(localStorage.getItem(key(product)));
    const { rulings } = entered; // a list as it was sent, by index as it is entered
    return Array.isArray(rulings) ? { ...entered, rulings: Object.fromEntries(rulings.map((one) => [one.index, one.disposition])) } : entered;
  } catch {
    return null;
  }
}

export function keep(product, entered, sent = false) {
  try {
    localStorage.setItem(key(product), JSON.stringify({ entered, sent, product, at: Date.now() }));
  } catch {
    // a browser that keeps nothing
  }
}

export function forget(product) {
  localStorage.removeItem(key(product));
}

// The decisions of a person that were sent and not answered yet; what is old is forgotten.
export function unanswered(person) {
  const found = [];
  for (const name of Object.keys(localStorage)) {
    if (!name.startsWith(PREFIX)) continue;
    const one = JSON.parse(localStorage.getItem(name));
    if (Date.now() - one.at > KEPT_MS) localStorage.removeItem(name);
    else if (one.sent && one.product.person === person) found.push(one);
  }
  return found;
}

// Sends until there is an answer: {status, outcome, …}. `waits` is told how often it was tried in vain, and why.
export async function send(product, entered, waits) {
  keep(product, entered, true);
  const address = `/review/${encodeURIComponent(product.id)}${product.line ? `?line=${encodeURIComponent(product.line)}` : ""}`;
  const body = JSON.stringify({ seen: product.seen, ...entered });
  for (let tries = 0; ; tries += 1) {
    const answer = await ask(address, { method: "POST", body, headers: { "Content-Type": "application/json" } });
    const told = answer.outcome === "taken" ? await follow(answer) : answer;
    if (told.outcome !== "taken" && told.status !== 0 && told.status < 500 && told.status !== 429) {
      if (told.status === 200 || told.status === 409) forget(product);
      else keep(product, entered); // the person must change something
      return told;
    }
    waits(tries + 1, told.detail);
    await pause(WAITS_MS[Math.min(tries, WAITS_MS.length - 1)]);
  }
}

async function follow(answer) {
  for (let tries = 0; answer.outcome === "taken" && tries < 30; tries += 1) {
    await pause(1000);
    const told = await ask(answer.ask, {});
    if (told.status !== 0 && told.status < 500) answer = told.outcome ? told : { ...told, outcome: "" };
  }
  return answer.outcome === "taken" ? { ...answer, detail: "the gate has it and has not answered" } : answer;
}

async function ask(address, options) {
  try {
    const response = await fetch(address, { ...options, signal: AbortSignal.timeout(PATIENCE_MS) });
    const json = (response.headers.get("content-type") ?? "").includes("json");
    const told = json ? await response.json() : { detail: `the station answered ${response.status}` };
    return { ...told, status: response.status };
  } catch {
    return { status: 0, detail: "the station can't be reached" };
  }
}

// Ends early when the network comes back, or the person wants it to.
let hurry = () => {};
export const again = () => hurry();

function pause(ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    hurry = () => {
      clearTimeout(timer);
      resolve();
    };
    addEventListener("online", hurry, { once: true });
  });
}
