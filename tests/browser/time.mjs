// Time in the page: how fast the world runs, where the view stands, and what is kept on the timeline.
import { assert, axe, base, check, container, eventually, finish, freeze, instant, pause, shot, start, testid, worldOf } from "./harness.mjs";

for (const lang of ["en", "ja"]) {
  const page = await start(lang);
  await container(page, "log-saver", "up");
  const speedOf = async () => (await (await fetch(`${base}/api/worlds/${worldOf(page)}`)).json()).speed;

  await check(`${lang}: the speed is a slider, from a tenth to as fast as possible`, async () => {
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
    await pause(600);
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

  await check(`${lang}: the console stayed silent`, async () => {
    assert(page.complaints.length === 0, page.complaints.join("\n"));
  });
  await page.context().close();
}

await finish();
