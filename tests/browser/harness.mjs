// What the walks share: a browser, checks that are counted, and a line to the server that can be cut.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { chromium } from "playwright-core";

export const base = (process.env.BASE_URL ?? "").replace(/\/$/, "");
if (!base) {
  console.error("BASE_URL is missing: the address of a running podlab");
  process.exit(2);
}
const axePath = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
// Generous: a busy machine is no failure, and what is broken stays broken.
const patience = Number(process.env.PATIENCE ?? 60_000);
let failures = 0;

/** Tries something and says how it went. */
export async function check(name, test) {
  try {
    await test();
    console.log(`ok - ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`not ok - ${name}`);
    console.log(String(error.stack ?? error).slice(0, 2000).replace(/^/gm, "  # "));
  }
}

export function assert(holds, message) {
  if (!holds) throw new Error(message);
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `probe` gives something true, and returns it. */
export async function eventually(what, probe) {
  const end = Date.now() + patience;
  for (;;) {
    const seen = await probe();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`${what}: not within ${patience / 1000} s`);
    await pause(100);
  }
}

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync),
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

export async function open(lang, { tour = false, ...options } = {}) {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 }, locale: lang === "ja" ? "ja-JP" : "en-GB", bypassCSP: true, ...options,
  });
  // Who tests has had the tour, unless it is the tour that is tested.
  if (!tour) await context.addInitScript(() => location.protocol !== "about:" && localStorage.setItem("podlab.tour", "seen"));
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  page.complaints = [];
  page.on("console", (m) => m.type() === "error" && page.complaints.push(m.text()));
  page.on("pageerror", (e) => page.complaints.push(e.message));
  return page;
}

/** Opens the page and starts the sidecar world; returns the page. */
export async function start(lang, options = {}, at = base) {
  const page = await open(lang, options);
  await page.goto(`${at}/`);
  await testid(page, "start").click();
  await testid(page, "container-log-saver").waitFor();
  return page;
}

export const testid = (page, id) => page.locator(`[data-testid="${id}"]`);

/** The id of the world that a page shows. */
export const worldOf = (page) => page.url().match(/#\/w\/([^?]+)/)?.[1] ?? "";

/** Waits until a container is in a state ("up", "wait", "down", "held", "done"). */
export const container = (page, name, state) => eventually(`${name} is ${state}`, async () =>
  (await testid(page, `container-${name}`).getAttribute("data-state")) === state);

/** Seconds of world time, as the page tells them. */
export async function instant(page) {
  const text = await testid(page, "instant").textContent();
  return text.replace(" s", "").split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** Looks at an instant, in ms, as soon as the world has come so far. */
export async function lookAt(page, ms) {
  const scrub = testid(page, "scrub");
  await eventually(`${ms} ms have passed`, async () => Number(await scrub.getAttribute("max")) >= ms);
  await scrub.fill(String(ms));
  await page.locator('[data-testid="view-state"][data-view="back"]').waitFor();
}

/** Freezes the world, or lets it run. */
export async function freeze(page, frozen) {
  await testid(page, "play").click();
  await page.locator(`[data-testid="world-state"][data-frozen="${frozen}"]`).waitFor();
}

export async function axe(page, where) {
  // Not as an element: the policy of a page allows only its own.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(`${readFileSync(axePath, "utf8")}; undefined`);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const grave = found.violations.filter((v) => ["serious", "critical"].includes(v.impact));
  assert(grave.length === 0, `${where}: ${grave.map((v) => `${v.id} at ${v.nodes.map((n) => n.target).join(", ")}`).join("; ")}`);
  assert(found.passes.length > 10, `${where}: axe looked at almost nothing`);
}

/** The marks on the canvas: how many pixels, and a number that changes when one of them moves. */
export const marks = (page) => page.evaluate(() => new Promise((done) => {
  const read = () => {
    const canvas = document.querySelector(".paper canvas");
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let [count, print] = [0, 0];
    for (let i = 3; i < data.length; i += 4) {
      if (data[i] > 40) count += 1;
      if (data[i] > 0) print = (Math.imul(print, 31) + i + data[i]) | 0;
    }
    done({ count, print });
  };
  // Two frames later everything that was asked for is drawn.
  requestAnimationFrame(() => requestAnimationFrame(read));
}));

export const inked = async (page) => (await marks(page)).count;

/** What of the texts in the picture is cut, or runs over its box. */
export const cut = (page) => page.evaluate(() => {
  const found = [];
  for (const box of document.querySelectorAll(".container, .volume, .chip")) {
    const frame = box.querySelector("rect").getBBox();
    for (const text of box.querySelectorAll(":scope > text")) {
      const { x, width } = text.getBBox();
      const name = text.matches(".cname, .life, .vname");
      if (x < frame.x || x + width > frame.x + frame.width || (name && text.textContent.includes("…"))) {
        found.push(text.textContent);
      }
    }
  }
  return found;
});

export const shot = async (page, name) => {
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name}.png` });
};

/** A line to the server that can be cut and mended, while the server lives on. */
export async function line() {
  const target = new URL(base);
  const sockets = new Set();
  let server;
  const listen = (port) => new Promise((done) => {
    server = createServer((near) => {
      const far = connect(Number(target.port), target.hostname);
      for (const [a, b] of [[near, far], [far, near]]) {
        sockets.add(a);
        a.on("error", () => {}).on("close", () => { sockets.delete(a); b.destroy(); });
        a.pipe(b);
      }
    }).listen(port, "127.0.0.1", () => done(server.address().port));
  });
  const port = await listen(0);
  return {
    url: `http://127.0.0.1:${port}`,
    async cut() {
      const closed = new Promise((done) => server.close(done));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    mend: () => listen(port),
  };
}

/** Ends a walk: exits with 1 if something failed. */
export async function finish() {
  await browser.close();
  console.log(failures === 0 ? "all is well" : `${failures} failed`);
  process.exit(failures === 0 ? 0 : 1);
}
