// Predict, then run: each lesson asks something; one ticks, lets it happen, and is told what did.
import { assert, axe, base, check, container, eventually, finish, freeze, open, pause, shot, start, testid, worldOf } from "./harness.mjs";

for (const lang of ["en", "ja"]) {
  const page = await start(lang);
  const question = testid(page, "predict");
  const choices = testid(page, "predict-choice");
  const result = testid(page, "predict-result");

  await check(`${lang}: a lesson asks; without a prediction nothing happens`, async () => {
    await container(page, "log-saver", "up");
    await eventually("client is answered", async () => (await testid(page, "strip").locator("button", { hasText: "web → client" }).count()) > 0);
    assert((await choices.count()) === 4, "four choices");
    await testid(page, "predict-run").click({ force: true });
    await pause(500);
    assert((await result.count()) === 0 && (await testid(page, "container-log-saver").getAttribute("data-runs")) === "0", "nothing was done");
    await axe(page, "question");
    await testid(page, "speed").fill("16");
  });

  await check(`${lang}: by keyboard: ticked, run in a frozen world too, judged one by one, with the reason`, async () => {
    await freeze(page, true);
    for (const i of [1, 2]) {
      await choices.nth(i).focus();
      await page.keyboard.press("Space");
    }
    await shot(page, `predict-asked-${lang}`);
    await testid(page, "predict-run").focus();
    await page.keyboard.press("Enter");
    await page.locator('[data-testid="world-state"][data-frozen="false"]').waitFor();
    await question.locator("progress").waitFor();
    await result.waitFor();
    // Two of the four are true, and one of them was ticked, beside one that is not.
    assert((await result.getAttribute("data-score")) === "2/4", await result.getAttribute("data-score"));
    const right = await question.locator("li").evaluateAll((all) => all.map((e) => e.dataset.right).join());
    assert(right === "true,true,false,false", right);
    await axe(page, "answered");
    await shot(page, `predict-known-${lang}`);
    // It did happen in the world: the container was killed and is back.
    const runs = Number(await testid(page, "container-log-saver").getAttribute("data-runs"));
    assert(runs >= 1 && (await testid(page, "container-log-saver").getAttribute("data-state")) === "up", `${runs} runs`);
    await testid(page, "predict-see").focus();
    await page.keyboard.press("Enter");
    assert(/after:\d/.test(await page.locator('input[type="search"]').inputValue()), "the messages since then");
    await eventually("there are some", async () => Number(await testid(page, "rows").getAttribute("data-count")) > 0);
    await page.reload();
    await testid(page, "tab-lesson").click();
    await result.waitFor();
    assert((await result.getAttribute("data-score")) === "2/4", "a reload remembers");
  });

  if (lang === "en") await check(`${lang}: once more, by mouse, and all right`, async () => {
    await testid(page, "predict-again").click();
    for (const i of [1, 3]) await choices.nth(i).click();
    await testid(page, "predict-run").click();
    await result.waitFor();
    assert((await result.getAttribute("data-score")) === "4/4", await result.getAttribute("data-score"));
  });

  await check(`${lang}: the console stayed silent`, async () => {
    assert(page.complaints.length === 0, page.complaints.join("\n"));
  });
  await page.context().close();
}

await check("every lesson has its question, and what it does is taken and mended", async () => {
  for (const pattern of ["adapter", "ambassador", "leader-election", "scatter-gather", "work-queue"]) {
    const page = await open("en");
    // At an instant at which everything runs, and fast from there.
    await page.goto(`${base}/#/open?v=1&pattern=${pattern}&seed=7&t=30`);
    await testid(page, "predict").waitFor();
    await testid(page, "speed").fill("20");
    await testid(page, "predict-choice").first().click();
    await testid(page, "predict-run").click();
    await testid(page, "predict-result").waitFor();
    const mend = testid(page, "predict-mend");
    if (await mend.count()) {
      await mend.click();
      await mend.waitFor({ state: "detached" });
    }
    assert((await page.locator(".predict .trouble").count()) === 0, `${pattern}: ${worldOf(page)}`);
    assert(page.complaints.length === 0, page.complaints.join("\n"));
    await page.context().close();
  }
});

await finish();
