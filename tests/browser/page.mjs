// What a learner does on the page, in a real browser, in both languages.
//
//   BASE_URL=http://127.0.0.1:PORT CHROMIUM=/usr/bin/chromium node page.mjs
//
// Needs the packages playwright-core and axe-core. Prints "ok - name" or "not ok - name" for
// each thing tried, and exits with 1 if one failed. SHOTS=DIR keeps pictures.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const base = (process.env.BASE_URL ?? "").replace(/\/$/, "");
if (!base) {
  console.error("BASE_URL is missing: the address of a running podlab");
  process.exit(2);
}
const axePath = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
// Generous: a busy machine is no failure, and what is broken stays broken.
const patience = Number(process.env.PATIENCE ?? 60_000);
let failures = 0;

async function check(name, test) {
  try {
    await test();
    console.log(`ok - ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`not ok - ${name}`);
    console.log(String(error.stack ?? error).replace(/^/gm, "  # "));
  }
}

function assert(holds, message) {
  if (!holds) throw new Error(message);
}

/** Waits until `probe` gives something true, and returns it. */
async function eventually(what, probe) {
  const end = Date.now() + patience;
  for (;;) {
    const seen = await probe();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`${what}: not within ${patience / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync),
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

async function open(lang, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 }, locale: lang === "ja" ? "ja-JP" : "en-GB", bypassCSP: true, ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  page.complaints = [];
  page.on("console", (m) => m.type() === "error" && page.complaints.push(m.text()));
  page.on("pageerror", (e) => page.complaints.push(e.message));
  return page;
}

async function axe(page, where) {
  await page.addScriptTag({ path: axePath });
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const grave = found.violations.filter((v) => ["serious", "critical"].includes(v.impact));
  assert(grave.length === 0, `${where}: ${grave.map((v) => `${v.id} at ${v.nodes.map((n) => n.target).join(", ")}`).join("; ")}`);
}

/** How many pixels of the canvas are not empty: marks are drawn there. */
const inked = (page) => page.evaluate(() => {
  const canvas = document.querySelector(".paper canvas");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] > 40) count += 1;
  return count;
});

const shot = async (page, name) => {
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name}.png` });
};
const testid = (page, id) => page.locator(`[data-testid="${id}"]`);

for (const lang of ["en", "ja"]) {
  const page = await open(lang);
  let world = "";

  await check(`${lang}: the gallery opens and starts the sidecar world`, async () => {
    await page.goto(`${base}/`);
    await testid(page, "start").waitFor();
    assert((await page.getAttribute("html", "lang")) === lang, "the document says its language");
    await axe(page, "gallery");
    await shot(page, `gallery-${lang}`);
    await testid(page, "start").click();
    await testid(page, "container-log-saver").waitFor();
    world = page.url().match(/#\/w\/([^?]+)/)?.[1] ?? "";
    assert(world, `the address names the world: ${page.url()}`);
  });

  await check(`${lang}: what does not run cannot be killed, and the page says why`, async () => {
    // Init containers end before the others begin.
    const init = testid(page, "container-content-init");
    await eventually("content-init has ended", async () => (await init.getAttribute("data-state")) === "done");
    await init.focus();
    await page.keyboard.press("Enter");
    for (const id of ["kill", "hold"]) {
      await page.locator(`[data-testid="${id}"][aria-disabled="true"]`).waitFor();
      assert(await testid(page, id).getAttribute("title"), `${id} says why not`);
      // It takes the click and asks nothing of the server: the console stays silent.
      await testid(page, id).click({ force: true });
    }
    assert((await testid(page, "note").count()) === 0, "nothing was done");
    assert(/content-init/.test(await testid(page, "why-not").textContent()), "the reason is seen");
    await page.keyboard.press("Escape");
  });

  await check(`${lang}: a request travels`, async () => {
    await eventually("messages in the list", async () => (await testid(page, "strip").locator("button").count()) > 0);
    await eventually("a mark on the canvas", async () => (await inked(page)) > 20);
    const seen = new Set();
    await eventually("the marks move", async () => {
      seen.add(await inked(page));
      return seen.size > 3;
    });
  });

  await check(`${lang}: freezing stops the world, and everything stays where it is`, async () => {
    await eventually("a mark in flight", async () => (await inked(page)) > 20);
    await testid(page, "play").click();
    await page.locator('[data-testid="world-state"][data-frozen="true"]').waitFor();
    await new Promise((resolve) => setTimeout(resolve, 400));
    const [time, ink] = [await testid(page, "instant").textContent(), await inked(page)];
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert((await testid(page, "instant").textContent()) === time, "the clock stands");
    assert((await inked(page)) === ink, "the marks stand");
    await shot(page, `frozen-${lang}`);
  });

  await check(`${lang}: a message opens with its request and its response`, async () => {
    await testid(page, "tab-messages").click();
    const row = testid(page, "rows").locator("button.row", { hasText: "200 OK" }).last();
    await row.focus();
    await page.keyboard.press("Enter");
    const inspector = testid(page, "inspector");
    await inspector.waitFor();
    assert((await inspector.locator(".half").count()) === 2, "two halves");
    assert(/HTTP\/1\.1/.test(await inspector.locator(".half").first().textContent()), "the request's first line");
    assert(/200/.test(await inspector.locator(".half").nth(1).textContent()), "the response's first line");
    await inspector.locator("button.form", { hasText: lang === "ja" ? "16" : "Hex" }).last().click();
    await inspector.locator("pre", { hasText: "000000" }).first().waitFor();
    await axe(page, "inspector");
    await shot(page, `inspector-${lang}`);
    await page.keyboard.press("Escape");
    await inspector.waitFor({ state: "detached" });
  });

  await check(`${lang}: one step moves the frozen world on`, async () => {
    const before = await testid(page, "instant").textContent();
    // Many events may share a millisecond, so a few steps are allowed.
    for (let i = 0; i < 40 && (await testid(page, "instant").textContent()) === before; i += 1) {
      await testid(page, "step").click();
      await new Promise((resolve) => setTimeout(resolve, 120));
    }
    assert((await testid(page, "instant").textContent()) !== before, "the clock moved");
    assert((await testid(page, "world-state").getAttribute("data-frozen")) === "true", "and the world is still frozen");
  });

  await check(`${lang}: looking back is not the same as freezing`, async () => {
    await testid(page, "play").click();
    await page.locator('[data-testid="world-state"][data-frozen="false"]').waitFor();
    await testid(page, "scrub").focus();
    await page.keyboard.press("Home");
    await page.locator('[data-testid="view-state"][data-view="back"]').waitFor();
    assert((await testid(page, "world-state").getAttribute("data-frozen")) === "false", "the world runs on");
    await testid(page, "present").click();
    await page.locator('[data-testid="view-state"][data-view="live"]').waitFor();
  });

  await check(`${lang}: the killed log-saver comes back`, async () => {
    const saver = testid(page, "container-log-saver");
    const state = (state) => eventually(`log-saver is ${state}`, async () => (await saver.getAttribute("data-state")) === state);
    await state("up");
    const runs = Number(await saver.getAttribute("data-runs"));
    await saver.focus();
    await page.keyboard.press("Enter");
    await page.locator('[data-testid="kill"][aria-disabled="false"]').click();
    await testid(page, "note").waitFor();
    // The back-off of a restart is 10 s of the world's time, at most.
    await eventually("it runs again", async () =>
      Number(await saver.getAttribute("data-runs")) > runs && (await saver.getAttribute("data-state")) === "up");
    await page.keyboard.press("Escape");
    await shot(page, `restarted-${lang}`);
  });

  await check(`${lang}: logs and events are listed`, async () => {
    await testid(page, "tab-events").click();
    await eventually("events", async () => Number(await testid(page, "rows").getAttribute("data-count")) > 0);
    await testid(page, "tab-logs").click();
    await eventually("logs", async () => Number(await testid(page, "rows").getAttribute("data-count")) > 0);
    await axe(page, "world");
  });

  await check(`${lang}: the other language keeps the place`, async () => {
    await testid(page, "lang").click();
    const other = lang === "en" ? "ja" : "en";
    await page.locator(`html[lang="${other}"]`).waitFor();
    assert(page.url().includes(`#/w/${world}`), "the same world");
    assert((await testid(page, "tab-logs").getAttribute("aria-selected")) === "true", "the same panel");
    await page.reload();
    await testid(page, "container-log-saver").waitFor();
    assert((await page.getAttribute("html", "lang")) === other, "a reload keeps the language");
    assert((await testid(page, "tab-logs").getAttribute("aria-selected")) === "true", "and the panel");
  });

  for (const [width, height] of [[1024, 768], [390, 844]]) {
    await check(`${lang}: nothing runs over at ${width}x${height}`, async () => {
      await page.setViewportSize({ width, height });
      await new Promise((resolve) => setTimeout(resolve, 500));
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert(over <= 0, `${over} pixels too wide`);
      await axe(page, `${width}x${height}`);
      await shot(page, `world-${lang}-${width}`);
    });
  }

  await check(`${lang}: the console stayed silent`, async () => {
    assert(page.complaints.length === 0, page.complaints.join("\n"));
  });
  await page.context().close();
}

await check("reduced motion: marks flash in place", async () => {
  const page = await open("en", { reducedMotion: "reduce" });
  await page.goto(`${base}/`);
  await testid(page, "start").click();
  await testid(page, "container-log-saver").waitFor();
  assert((await testid(page, "motion").inputValue()) === "less", "the choice follows the system");
  await eventually("a flash", async () => (await inked(page)) > 20);
  await page.context().close();
});

await check("dark colours keep their contrast", async () => {
  const page = await open("en", { colorScheme: "dark" });
  await page.goto(`${base}/`);
  await testid(page, "start").click();
  await testid(page, "container-log-saver").waitFor();
  await eventually("messages", async () => (await testid(page, "strip").locator("button").count()) > 0);
  await axe(page, "dark");
  await shot(page, "dark");
  await page.context().close();
});

await check("a world that is gone is explained, with a way on", async () => {
  const page = await open("en");
  await page.goto(`${base}/#/w/no-such-world?pattern=sidecar&lang=en`);
  await page.locator(".banner.trouble button").waitFor();
  await page.locator(".banner.trouble button").click();
  await testid(page, "container-log-saver").waitFor();
  await page.context().close();
});

await browser.close();
console.log(failures === 0 ? "all is well" : `${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
