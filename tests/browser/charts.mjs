// Numbers over time: charts with the scrubber's instant, their table, by mouse and by keyboard.
import { assert, axe, check, eventually, finish, freeze, instant, shot, start, testid } from "./harness.mjs";

for (const lang of ["en", "ja"]) {
  const page = await start(lang);
  await eventually("something has happened", async () => (await instant(page)) > 6);
  const sheet = testid(page, "chart-sheet");

  await check(`${lang}: charts are a view of their own, and the address remembers it`, async () => {
    await testid(page, "view-charts").focus();
    await page.keyboard.press("Enter");
    await sheet.waitFor();
    assert(/[?&]show=charts/.test(page.url()), page.url());
    await eventually("requests, answers and programs", async () => (await sheet.locator("g.chart").count()) >= 4);
    await freeze(page, true);
    const text = await sheet.textContent();
    assert(/p50/.test(text) && /p99/.test(text) && /\/s/.test(text), text);
    await axe(page, "charts");
    await shot(page, `charts-${lang}`);
  });

  await check(`${lang}: a click goes to that instant, and the cursor follows the scrubber`, async () => {
    const cursor = async () => Number((await sheet.locator(".cursor").getAttribute("d")).match(/M([\d.]+)/)[1]);
    const end = await cursor();
    const box = await sheet.boundingBox();
    await page.mouse.click(box.x + box.width * 0.5, box.y + 60);
    await page.locator('[data-testid="view-state"][data-view="back"]').waitFor();
    const middle = await cursor();
    assert(Math.abs(middle - 480) < 3 && middle < end, `the cursor stands where it was clicked: ${middle}`);
    const at = await instant(page);
    await testid(page, "scrub").fill("2000");
    await eventually("the cursor follows", async () => (await cursor()) < middle);
    assert((await instant(page)) === 2 && at > 2, `${at}`);
  });

  await check(`${lang}: arrow keys move through time, and what is there is told`, async () => {
    await sheet.focus();
    const before = await instant(page);
    await page.keyboard.press("ArrowRight");
    await eventually("later", async () => (await instant(page)) > before);
    const told = await sheet.getAttribute("aria-valuetext");
    assert(/p50|\/s/.test(told), told);
    await page.keyboard.press("Home");
    await eventually("the beginning", async () => (await instant(page)) < 0.5);
  });

  await check(`${lang}: the table says the same, and its rows lead to their instants`, async () => {
    const summary = page.locator(".chart-table summary");
    await summary.focus();
    await page.keyboard.press("Enter");
    const rows = page.locator(".chart-rows tbody tr");
    assert((await rows.count()) === Number(await testid(page, "charts").getAttribute("data-columns")), "a row for each column");
    await rows.nth(4).locator("button").focus();
    await page.keyboard.press("Enter");
    await eventually("that row is the one shown", async () => (await rows.nth(4).getAttribute("aria-current")) === "true");
    await axe(page, "the table");
    await testid(page, "view-picture").click();
    await testid(page, "present").click();
  });

  await check(`${lang}: the console stayed silent`, async () => {
    assert(page.complaints.length === 0, page.complaints.join("\n"));
  });
  await page.context().close();
}

await finish();
