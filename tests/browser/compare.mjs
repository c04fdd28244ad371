// Two worlds beside each other: a fork with its origin, two seeds, with and without the pattern; one clock, the first
// difference, figures, and a link that holds it all.
import { assert, axe, base, check, container, eventually, finish, freeze, instant, lookAt, open, shot, start, testid } from "./harness.mjs";

const side = (page, which) => testid(page, which);
const status = async (id) => (await fetch(`${base}/api/worlds/${id}`)).json();
const worlds = (page) => ["world", "world2"].map((name) => new URLSearchParams(page.url().split("?")[1]).get(name));
const parted = (page, is) => page.locator(`[data-testid="findings"][data-parted="${is}"]`).waitFor();
const figure = async (page, name) => (await testid(page, `figure-${name}`).locator("td").allTextContents()).map((t) => t.trim());

/** Both are there, and both are shown at the same instant. */
async function ready(page) {
  await eventually("both worlds", async () => worlds(page).every(Boolean));
  await testid(page, "play").and(page.locator(":enabled")).waitFor();
  await eventually("both have come so far", async () => (await page.locator(".compared .banner").count()) === 0);
}

for (const lang of ["en", "ja"]) {
  const page = await start(lang, { permissions: ["clipboard-read", "clipboard-write"] });

  await check(`${lang}: a fork stands beside its origin, and until something is done nothing differs`, async () => {
    await container(page, "log-saver", "up");
    await testid(page, "speed").fill("20");
    await eventually("five seconds", async () => (await instant(page)) > 5);
    await freeze(page, true);
    await lookAt(page, 4000);
    if (lang === "en") {
      await testid(page, "fork-beside").click();
    } else {
      // By keyboard, through the list of what can be compared.
      await testid(page, "compare").focus();
      await page.keyboard.press("Enter");
      await testid(page, "compare-with").waitFor();
      await page.keyboard.press("Escape");
      await testid(page, "compare-with").waitFor({ state: "detached" });
      assert(await testid(page, "compare").evaluate((e) => e === document.activeElement), "the keyboard is back where it was");
      await page.keyboard.press("Enter");
      await axe(page, "compare with");
      await shot(page, `compare-with-${lang}`);
      await testid(page, "compare-fork").focus();
      await page.keyboard.press("Enter");
    }
    await ready(page);
    assert(/fork2=4\.0/.test(page.url()) && /&t=4\.0/.test(page.url()), page.url());
    assert((await instant(page)) === 4, "at the instant of the fork");
    const [origin, fork] = await Promise.all(worlds(page).map(status));
    assert(fork.nowNanos === 4e9 && origin.nowNanos >= 4e9 && fork.speed === 0 && origin.speed === 0, "both stand");
    await parted(page, "false");
    await axe(page, "two worlds");
    await shot(page, `compare-fork-${lang}`);
  });

  await check(`${lang}: one clock runs both, and never shows one where the other has not been`, async () => {
    await page.locator("body").focus();
    await page.keyboard.press("k");
    await page.locator('[data-testid="both-state"][data-playing="true"]').waitFor();
    await eventually("time passes", async () => (await instant(page)) > 4.8);
    if (lang === "en") await testid(page, "play").click();
    else await page.keyboard.press("k");
    await page.locator('[data-testid="both-state"][data-playing="false"]').waitFor();
    const at = (await instant(page)) * 1e9;
    for (const world of await Promise.all(worlds(page).map(status))) {
      assert(world.nowNanos >= at - 1e6 && world.speed === 0, `${world.id} at ${world.nowNanos}, shown ${at}`);
    }
    // The next event of either, and back again.
    await page.keyboard.press(".");
    await eventually("a step", async () => (await instant(page)) * 1e9 > at);
    const stepped = await instant(page);
    await page.keyboard.press(",");
    await eventually("a step back", async () => (await instant(page)) < stepped);
    // Further than either has been: both are run to it.
    await testid(page, "scrub").focus();
    const most = Number(await testid(page, "scrub").getAttribute("max"));
    await testid(page, "scrub").fill(String(most));
    await testid(page, "newest").click();
    await ready(page);
    const [a, b] = await Promise.all(worlds(page).map(status));
    assert(a.nowNanos === b.nowNanos && Math.abs(a.nowNanos / 1e9 - (await instant(page))) < 0.001, "both at the newest instant");
  });

  await check(`${lang}: what is done in one of them is where they part`, async () => {
    // At the newest instant, one of them can be touched.
    const right = side(page, "right");
    await right.locator('[data-testid="container-log-saver"]').focus();
    await page.keyboard.press("Enter");
    await testid(page, "inspector").waitFor();
    const at = await instant(page);
    const kill = page.locator('[data-testid="kill"][aria-disabled="false"]');
    if (lang === "en") await kill.click();
    else {
      await kill.focus();
      await page.keyboard.press("Enter");
    }
    await parted(page, "true");
    const said = await testid(page, "parted").textContent();
    assert(said.includes(`${at.toFixed(3)}`), `at ${at}: ${said}`);
    assert(/kill/.test(said) && /log-saver/.test(said), said);
    await page.keyboard.press("Escape");
    // It goes on; the difference is counted, and stays where it was.
    await testid(page, "speed").fill("20");
    await page.keyboard.press("k");
    await eventually("it is started again", async () => (await figure(page, "restarts")).join() === "0,1");
    await page.keyboard.press("k");
    await page.locator('[data-testid="both-state"][data-playing="false"]').waitFor();
    assert(/≠|other/.test(await testid(page, "figure-restarts").getAttribute("class")), "the row is marked");
    await testid(page, "mark-first").waitFor();
    if (lang === "en") await testid(page, "go-parted").click();
    else await page.keyboard.press("d");
    await eventually("there", async () => Math.abs((await instant(page)) - at) < 0.001);
    await shot(page, `compare-parted-${lang}`);
  });

  await check(`${lang}: a message is selected with its counterpart`, async () => {
    const strip = side(page, "left").locator('[data-testid="strip"] button', { hasText: "GET" });
    await testid(page, "scrub").fill("3900");
    await eventually("that instant", async () => (await instant(page)) === 3.9);
    await eventually("a request", async () => (await strip.count()) > 0);
    await strip.first().focus();
    await page.keyboard.press("Enter");
    await testid(page, "beside").waitFor();
    const chosen = page.locator('[data-testid="strip"] button.chosen');
    await eventually("in both", async () => (await chosen.count()) === 2);
    assert((await testid(page, "beside").locator("tr.other").count()) === 0, "before the fork it is the same");
    await axe(page, "a message of both");
    await shot(page, `compare-message-${lang}`);
    await page.keyboard.press("Escape");
    await testid(page, "beside").waitFor({ state: "detached" });
  });

  if (lang === "en") await check(`${lang}: a reload finds both again, another language keeps them, and history leads back`, async () => {
    const before = worlds(page).join();
    await page.reload();
    await ready(page);
    assert(worlds(page).join() === before, "the same worlds");
    await parted(page, "true");
    if (lang === "en") {
      await testid(page, "lang").click();
      await page.locator("html[lang=ja]").waitFor();
      await testid(page, "lang").click();
      await page.locator("html[lang=en]").waitFor();
      assert(worlds(page).join() === before, page.url());
    }
    await testid(page, "open-right").click();
    await eventually("the world alone", () => page.url().includes(`#/w/${before.split(",")[1]}`));
    await testid(page, "compare").click();
    // What it was forked from is offered there.
    await testid(page, "compare-origin").waitFor();
    await testid(page, "compare-cancel").click();
    await page.goBack();
    await ready(page);
  });

  await check(`${lang}: with and without the pattern, by a link that holds all`, async () => {
    await testid(page, "open-left").click();
    await eventually("the world is there", async () => (await instant(page)) > 4);
    await testid(page, "compare").click();
    const without = testid(page, "compare-without");
    const title = await without.textContent();
    if (lang === "en") await without.click();
    else {
      await without.focus();
      await page.keyboard.press("Enter");
    }
    await ready(page);
    assert((await side(page, "right").locator("h2").textContent()) === title, title);
    const saver = '[data-testid="container-log-saver"]';
    await eventually("one with, one without", async () =>
      (await side(page, "left").locator(saver).count()) === 1 && (await side(page, "right").locator(saver).count()) === 0);
    await parted(page, "true");
    await testid(page, "deed").waitFor();
    const [withIt, withoutIt] = (await figure(page, "programs")).map(Number);
    assert(withIt > withoutIt, `${withIt} programs, ${withoutIt} without`);
    await testid(page, "copy-link").click();
    const link = await eventually("copied", async () => {
      const text = await page.evaluate(() => navigator.clipboard.readText());
      return /#\/compare/.test(text) && text;
    });
    assert(!/world/.test(link) && /without2=without/.test(link) && /&t=/.test(link), link);
    const [first, figures] = [await testid(page, "parted").textContent(), await testid(page, "figures").textContent()];
    const other = await open(lang);
    await other.goto(link);
    await ready(other);
    await parted(other, "true");
    assert(worlds(other).every((w) => !worlds(page).includes(w)), "worlds of their own");
    await eventually("the same difference", async () => (await testid(other, "parted").textContent()) === first);
    await eventually("the same figures", async () => (await testid(other, "figures").textContent()) === figures);
    assert(other.complaints.length === 0, other.complaints.join("\n"));
    await other.context().close();
    await shot(page, `compare-without-${lang}`);
  });

  if (lang === "en") await check(`${lang}: two seeds; and no page is too small`, async () => {
    await testid(page, "open-left").click();
    await eventually("the world is there", async () => (await instant(page)) > 4);
    await testid(page, "compare").click();
    await testid(page, "compare-seed").fill("8");
    await page.keyboard.press("Enter");
    await ready(page);
    assert(/seed2=8/.test(page.url()), page.url());
    for (const [width, height] of [[1024, 768], [390, 844], [1440, 900]]) {
      await page.setViewportSize({ width, height });
      await page.waitForTimeout(150);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert(wide <= 0, `${width}: ${wide} pixels too wide`);
      const tops = await page.locator(".compared").evaluateAll((all) => all.map((e) => e.getBoundingClientRect().top));
      assert((width > 720) === (tops[0] === tops[1]), `${width}: beside each other, or one below the other`);
      await axe(page, `${width} wide`);
      await shot(page, `compare-${width}`);
    }
  });

  if (lang === "en") await check(`${lang}: what is wrong with such a link is told`, async () => {
    const other = await open(lang);
    for (const query of ["v=0", "v=1&pattern=sidecar&seed=7", "v=1&pattern=sidecar&seed=x&pattern2=sidecar&seed2=7"]) {
      await other.goto("about:blank");
      await other.goto(`${base}/#/compare?${query}`);
      await testid(other, "link-trouble").waitFor();
    }
    await other.goto("about:blank");
    await other.goto(`${base}/#/compare?v=1&pattern=no-such&seed=7&world2=w9999`);
    await eventually("both sides say why", async () => (await testid(other, "side-trouble").count()) === 2);
    await axe(other, "no worlds");
    const odd = other.complaints.filter((c) => !/status of 404/.test(c));
    assert(odd.length === 0, odd.join("\n"));
    await other.context().close();
  });

  await check(`${lang}: the console stayed silent`, async () => {
    assert(page.complaints.length === 0, page.complaints.join("\n"));
  });
  await page.context().close();
}

await finish();
