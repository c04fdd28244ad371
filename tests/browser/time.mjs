// Time in the page: how fast the world runs, where the view stands, and what is kept on the timeline.
import { assert, axe, base, check, container, eventually, finish, freeze, instant, lookAt, pause, shot, start, testid, worldOf } from "./harness.mjs";

for (const lang of ["en", "ja"]) {
  const page = await start(lang);
  await container(page, "log-saver", "up");
  const speedOf = async () => (await (await fetch(`${base}/api/worlds/${worldOf(page)}`)).json()).speed;

  if (lang === "en") await check(`${lang}: the speed is a slider, from a tenth to as fast as possible`, async () => {
    const slider = testid(page, "speed");
    await slider.focus();
    await page.keyboard.press("Home");
    await eventually("a tenth", async () => (await speedOf()) === 0.1);
    assert((await slider.getAttribute("aria-valuetext")).includes("0.1×"), "it says so");
    assert((await testid(page, "pace").textContent()) === "0.1×", "and shows it");
    await page.keyboard.press("End");
    await eventually("as fast as possible", async () => (await speedOf()) === "max");
    await page.keyboard.press("ArrowLeft");
    await eventually("a hundred times", async () => (await speedOf()) === 100);
    await slider.fill("10");
    await eventually("as fast as real time", async () => (await speedOf()) === 1);
    // With the pointer: the middle of the slider is between 1x and 10x.
    const box = await slider.boundingBox();
    await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
    await eventually("in the middle", async () => (await speedOf()) > 1 && (await speedOf()) < 10);
    await slider.fill("10");
    await eventually("real time again", async () => (await speedOf()) === 1);
    // Keys do the same, wherever the keyboard is.
    await testid(page, "play").focus();
    await page.keyboard.press("-");
    await eventually("a stop slower", async () => (await speedOf()) === 0.8);
    await page.keyboard.press("+");
    await eventually("a stop faster", async () => (await speedOf()) === 1);
  });

  await check(`${lang}: a frozen world is not started by its slider`, async () => {
    await freeze(page, true);
    const slider = testid(page, "speed");
    await slider.fill("20");
    assert((await testid(page, "pace").textContent()) === "10×", "ten times from then on");
    const before = await testid(page, "instant").textContent();
    await pause(400);
    assert((await speedOf()) === 0, "still frozen");
    assert((await testid(page, "instant").textContent()) === before, "and nothing moved");
    await axe(page, "frozen");
    await freeze(page, false);
    await eventually("ten times", async () => (await speedOf()) === 10);
    await slider.fill("10");
    await eventually("real time", async () => (await speedOf()) === 1);
  });

  await check(`${lang}: a paused view is not a frozen world, and each says which it is`, async () => {
    const said = new Set();
    const state = testid(page, "view-state");
    const note = async () => said.add(`${await testid(page, "world-state").textContent()}|${(await state.textContent()).replace(/[\d.]+ \w+/, "")}`);
    await page.locator('[data-view="live"]').waitFor();
    await note();
    await testid(page, "pause-view").click();
    await page.locator('[data-view="back"]').waitFor();
    assert((await testid(page, "world-state").getAttribute("data-frozen")) === "false", "the world runs on");
    const at = await instant(page);
    const behind = await state.textContent();
    await eventually("it falls behind", async () => (await state.textContent()) !== behind);
    assert((await instant(page)) === at, "the view stands");
    await note();
    await shot(page, `paused-view-${lang}`);
    await freeze(page, true);
    await note();
    await testid(page, "present").click();
    await page.locator('[data-view="live"]').waitFor();
    await note();
    await freeze(page, false);
    assert(said.size === 4, `four states, four words: ${[...said].join(" / ")}`);
  });

  await check(`${lang}: an instant is bookmarked by key and by button, named, found again, and kept`, async () => {
    const flags = page.locator(".flag");
    const list = testid(page, "bookmark-list");
    await lookAt(page, 1200);
    await testid(page, "scrub").focus();
    await page.keyboard.press("b");
    await flags.first().waitFor({ state: "attached" });
    await page.keyboard.press("b");
    assert((await flags.count()) === 1, "one for an instant");
    // Far from the first, for the pointer.
    const far = Math.round(Number(await testid(page, "scrub").getAttribute("max")) * 0.6);
    await lookAt(page, far);
    await testid(page, "bookmark").click();
    // Its name is asked for at once.
    await eventually("the name has the focus", () => page.evaluate(() => document.activeElement.dataset.testid === "bookmark-name"));
    const name = lang === "ja" ? "落ちる前" : "before the fall";
    await page.keyboard.insertText(name);
    await axe(page, "bookmarks");
    await shot(page, `bookmarks-${lang}`);
    await page.keyboard.press("Enter");
    await list.waitFor({ state: "detached" });
    assert((await page.evaluate(() => document.activeElement.dataset.testid)) === "bookmarks", "the keyboard stays near");
    assert((await flags.nth(1).getAttribute("title")) === name, "the flag has its name");
    // From one to the other: keys, buttons, the flag itself.
    await page.keyboard.press("[");
    await eventually("the one before", async () => (await instant(page)) === 1.2);
    assert(await testid(page, "bookmark-before").isDisabled(), "there is none before it");
    await testid(page, "bookmark-after").click();
    await eventually("the next", async () => (await instant(page)) === far / 1000);
    await flags.first().click();
    await eventually("the flag that was clicked", async () => (await instant(page)) === 1.2);
    await page.reload();
    await testid(page, "container-log-saver").waitFor();
    await eventually("a reload keeps them", async () => (await flags.count()) === 2);
    await testid(page, "bookmarks").focus();
    await page.keyboard.press("Enter");
    await list.waitFor();
    assert((await testid(page, "bookmark-name").nth(1).inputValue()) === name, "and their names");
    await testid(page, "bookmark-remove").first().focus();
    await page.keyboard.press("Enter");
    await eventually("one is left", async () => (await flags.count()) === 1);
    await page.keyboard.press("Escape");
    await list.waitFor({ state: "detached" });
    await testid(page, "present").click();
  });

  await check(`${lang}: the console stayed silent`, async () => {
    assert(page.complaints.length === 0, page.complaints.join("\n"));
  });
  await page.context().close();
}

await finish();
