// The first minute: the tour opens for who is new, points at things, blocks nothing, and can be had again.
import { assert, axe, check, container, eventually, finish, pause, shot, start, testid } from "./harness.mjs";

const steps = 6;

/** The card is on the screen, whole, and off what it points at. */
async function stands(page, where) {
  await pause(300);
  const [card, ring, room] = await page.evaluate(() => {
    const area = (s) => { const r = document.querySelector(s).getBoundingClientRect(); return { x: r.x, y: r.y, w: r.width, h: r.height }; };
    return [area(".tour"), area(".tour-ring"), [innerWidth, innerHeight]];
  });
  assert(card.x >= 0 && card.y >= 0 && card.x + card.w <= room[0] && card.y + card.h <= room[1], `${where}: the card is whole: ${JSON.stringify(card)}`);
  assert(ring.w > 20 && ring.x < room[0] && ring.y < room[1], `${where}: it points at something: ${JSON.stringify(ring)}`);
  return { card, ring };
}

for (const lang of ["en", "ja"]) {
  const page = await start(lang, { tour: true });
  const card = testid(page, "tour");
  const at = async () => Number(await card.getAttribute("data-step"));

  await check(`${lang}: who is new is shown round, and can do everything meanwhile`, async () => {
    await card.waitFor();
    assert((await page.evaluate(() => document.activeElement.closest(".tour"))) === null, "the keyboard is left where it was");
    await container(page, "log-saver", "up");
    await axe(page, "tour");
    // The page below is alive: a container can be clicked, a key freezes.
    await testid(page, "container-origin").click();
    await testid(page, "inspector").waitFor();
    await page.keyboard.press("Escape");
    await testid(page, "inspector").waitFor({ state: "detached" });
    assert(await card.isVisible(), "and the tour is still there");
    const names = new Set();
    for (let n = 0; n < steps; n += 1) {
      await eventually(`step ${n}`, async () => (await at()) === n);
      const { card: c, ring: r } = await stands(page, `step ${n}`);
      assert(c.x >= r.x + r.w || r.x >= c.x + c.w || c.y >= r.y + r.h || r.y >= c.y + c.h, `step ${n}: the card covers what it points at`);
      names.add(await card.locator("h2").textContent());
      await shot(page, `tour-${n}-${lang}`);
      await testid(page, "tour-next").click();
    }
    assert(names.size === steps, "each step is about another thing");
    await card.waitFor({ state: "detached" });
    await page.reload();
    await testid(page, "container-log-saver").waitFor();
    await pause(500);
    assert((await card.count()) === 0, "not again");
  });

  if (lang === "en") await check(`${lang}: by keyboard: begun again, forth and back, left with Escape`, async () => {
    await testid(page, "tour-again").focus();
    await page.keyboard.press("Enter");
    await card.waitFor();
    const focused = () => page.evaluate(() => document.activeElement.dataset.testid);
    await eventually("the card has the keyboard", async () => (await focused()) === "tour-next");
    await page.keyboard.press("Enter");
    await eventually("the second step", async () => (await at()) === 1);
    await eventually("the card keeps the keyboard", async () => (await focused()) === "tour-next");
    await pause(50);
    await page.keyboard.press("Shift+Tab");
    assert((await focused()) === "tour-back", await focused());
    await page.keyboard.press("Enter");
    await eventually("the first step", async () => (await at()) === 0 && (await focused()) === "tour-next");
    await page.keyboard.press("Escape");
    await card.waitFor({ state: "detached" });
    assert((await focused()) === "tour-again", "the keyboard is back where it was");
  });

  await check(`${lang}: on a phone it points at what it speaks of`, async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    await testid(page, "tour-again").click();
    for (let n = 0; n < steps; n += 1) {
      await eventually(`step ${n}`, async () => (await at()) === n);
      await stands(page, `step ${n} on a phone`);
      if (n === 1) await axe(page, "tour on a phone");
      await shot(page, `tour-phone-${n}-${lang}`);
      if (n < steps - 1) await testid(page, "tour-next").click();
    }
    await testid(page, "tour-next").click();
    await card.waitFor({ state: "detached" });
  });

  if (lang === "en") await check(`${lang}: skipped is skipped for good`, async () => {
    const other = await start(lang, { tour: true });
    await testid(other, "tour-skip").click();
    await testid(other, "tour").waitFor({ state: "detached" });
    await other.reload();
    await testid(other, "container-log-saver").waitFor();
    assert((await testid(other, "tour").count()) === 0, "not again");
    await other.context().close();
  });

  if (lang === "en") await check(`${lang}: Escape leaves it, although the keyboard was never in it`, async () => {
    const other = await start(lang, { tour: true });
    await testid(other, "tour").waitFor();
    await other.keyboard.press("Escape");
    await testid(other, "tour").waitFor({ state: "detached" });
    await other.context().close();
  });

  await check(`${lang}: the console stayed silent`, async () => {
    assert(page.complaints.length === 0, page.complaints.join("\n"));
  });
  await page.context().close();
}

await finish();
