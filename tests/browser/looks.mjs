// How the page looks: in three sizes, light and dark, both languages, with and without motion.
import { assert, axe, base, check, container, cut, eventually, finish, inked, instant, lookAt, marks, open, shot, start, testid } from "./harness.mjs";

const sizes = [[1440, 900], [1024, 768], [390, 844]];

for (const lang of ["en", "ja"]) {
  const page = await start(lang);
  await check(`${lang}: while a pod starts, no name and no state is cut`, async () => {
    // Both must have been seen: what waits for init containers, and what runs.
    await lookAt(page, 600);
    await container(page, "log-saver", "wait");
    assert((await page.locator(".container .life", { hasText: "PodInitializing" }).count()) > 0, "PodInitializing is told in full");
    assert((await cut(page)).length === 0, `cut: ${await cut(page)}`);
    await testid(page, "present").click();
    await container(page, "log-saver", "up");
    assert((await cut(page)).length === 0, `cut: ${await cut(page)}`);
  });
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const [width, height] of sizes) {
      await check(`${lang}, ${colorScheme}: ${width}x${height} is whole and can be read by all`, async () => {
        await page.setViewportSize({ width, height });
        await eventually("the picture fits", () => page.evaluate(() =>
          document.documentElement.scrollWidth <= innerWidth &&
          document.querySelector(".paper").getBoundingClientRect().right <= innerWidth));
        if (width > 720) {
          const hidden = await page.evaluate(() => {
            const view = document.querySelector(".view");
            return view.scrollHeight - view.clientHeight;
          });
          assert(hidden <= 1, `${hidden} pixels of the picture are out of sight`);
        }
        await eventually("messages", async () => (await testid(page, "strip").locator("button").count()) > 0);
        await axe(page, `${lang} ${colorScheme} ${width}`);
        await shot(page, `${lang}-${colorScheme}-${width}`);
      });
    }
  }
  await page.context().close();
}

await check("the picture fills its stage", async () => {
  const page = await start("en");
  await container(page, "web", "up");
  const part = await page.evaluate(() => {
    const [view, paper] = [".view", ".paper"].map((s) => document.querySelector(s).getBoundingClientRect());
    return Math.max(paper.width / view.width, paper.height / view.height);
  });
  assert(part > 0.97, `only ${part.toFixed(2)} of it`);
  await page.context().close();
});

for (const lang of ["en", "ja"]) {
  await check(`${lang}: the gallery has sizes of its own: a headline, then text; nothing runs over its box`, async () => {
    const page = await open(lang);
    await page.goto(`${base}/`);
    await testid(page, "start").waitFor();
    const [h1, p, over] = await page.evaluate(() => {
      const size = (s) => parseFloat(getComputedStyle(document.querySelector(s)).fontSize);
      const over = [...document.querySelectorAll(".emblem g")].filter((g) => g.querySelector("text").getBBox().width > g.querySelector("rect").getBBox().width);
      return [size(".hero h1"), size(".hero p"), over.length];
    });
    assert(h1 >= 25 && p <= 17 && over === 0, `h1 ${h1}, p ${p}, ${over} texts run over`);
    await axe(page, "gallery");
    await shot(page, `gallery-${lang}`);
    await page.context().close();
  });
}

for (const [width, height] of [[1024, 768], [390, 844]]) {
  await check(`${width}x${height}: looking back, time takes little room and all of it is seen`, async () => {
    const page = await start("en", { viewport: { width, height } });
    await lookAt(page, 600);
    const seen = await page.evaluate(() => {
      const bar = document.querySelector(".transport").getBoundingClientRect();
      const out = [...document.querySelectorAll(".transport button, .transport output, .worldstate")].filter((e) => {
        const r = e.getBoundingClientRect();
        return r.right > innerWidth || r.bottom > innerHeight || e.scrollWidth > e.clientWidth + 1;
      });
      return [bar.height, out.map((e) => e.dataset.testid ?? e.className)];
    });
    const [tall, out] = seen;
    assert(tall <= (width > 720 ? 150 : 215), `${tall} pixels high`);
    assert(out.length === 0, `cut: ${out}`);
    await axe(page, "looking back");
    await shot(page, `looking-back-${width}`);
    await page.context().close();
  });
}

for (const [width, height] of [[1024, 768], [1440, 900]]) {
  await check(`${width}x${height}: folding the panels gives the picture their room`, async () => {
    const page = await start("en", { viewport: { width, height } });
    await container(page, "web", "up");
    const scale = () => page.evaluate(() => document.querySelector(".paper").getBoundingClientRect().width / document.querySelector("svg.scene").viewBox.baseVal.width);
    const before = await scale();
    const fold = testid(page, "fold-panels");
    await fold.click();
    await eventually("a larger picture", async () => (await scale()) > before * 1.15);
    assert((await fold.getAttribute("aria-expanded")) === "false", "it is told");
    await axe(page, "folded");
    await shot(page, `folded-${width}`);
    console.log(`# ${width}x${height}: scale ${before.toFixed(2)}, without panels ${(await scale()).toFixed(2)}`);
    await page.reload();
    await container(page, "web", "up");
    await eventually("a reload keeps it", async () => (await scale()) > before * 1.15);
    await fold.focus();
    await page.keyboard.press("Enter");
    await eventually("as before", async () => Math.abs((await scale()) - before) < 0.01);
    assert(await testid(page, "tab-lesson").isVisible(), "the panels are back");
    await page.context().close();
  });
}

await check("a step back in time is not told by colour alone", async () => {
  const page = await start("en");
  await container(page, "log-saver", "up");
  await testid(page, "container-log-saver").focus();
  await page.keyboard.press("Enter");
  await page.locator('[data-testid="kill"][aria-disabled="false"]').click();
  const mark = page.locator(".density i.fault").first();
  await mark.waitFor({ state: "attached" });
  assert((await mark.textContent()) === "✕", "a fault has a sign");
  await page.context().close();
});

// Of pairs of instants 30 ms apart with marks under way at both: in how many does nothing move?
async function standing(page) {
  let [still, pairs] = [0, 0];
  for (let ms = 3000; ms < 9000 && pairs < 12; ms += 170) {
    const seen = [];
    for (const at of [ms, ms + 30]) {
      await lookAt(page, at);
      seen.push(await marks(page));
    }
    if (seen[0].count > 20 && seen[1].count > 20) {
      pairs += 1;
      if (seen[0].print === seen[1].print) still += 1;
    }
  }
  assert(pairs >= 6, `marks at only ${pairs} instants`);
  return still / pairs;
}

await check("with reduced motion marks flash in place, else they fly", async () => {
  const page = await start("en", { reducedMotion: "reduce" });
  assert((await testid(page, "motion").inputValue()) === "less", "the choice follows the system");
  await eventually("a flash", async () => (await inked(page)) > 20);
  await eventually("nine seconds", async () => (await instant(page)) > 9.5);
  const less = await standing(page);
  await testid(page, "motion").selectOption("full");
  const full = await standing(page);
  assert(less > 0.5, `with less motion ${less} stand`);
  assert(full < 0.2, `with full motion ${full} stand`);
  await page.context().close();
});

await finish();
