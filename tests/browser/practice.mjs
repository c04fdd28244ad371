// Exercises in the page: begun, broken further, checked, looked into, helped with, solved; by mouse and by keyboard.
import { assert, axe, base, check, container, eventually, finish, open, pause, shot, testid, worldOf } from "./harness.mjs";

const word = { en: { line: "Line 42", pass: "Solved" }, ja: { line: "42 行目", pass: "解決" } };

for (const lang of ["en", "ja"]) {
  const page = await open(lang);
  const editor = page.locator("#exercise-file");
  let [world, start] = ["", ""];

  await check(`${lang}: the gallery lists exercises, and one begins with its own world`, async () => {
    await page.goto(`${base}/`);
    await testid(page, "exercises-sidecar").locator("summary").click();
    await axe(page, "gallery with exercises");
    await page.locator(".exercise-item", { has: testid(page, "exercise-wrong-port") }).locator('[data-stage="new"]').waitFor();
    await testid(page, "exercise-wrong-port").click();
    await testid(page, "exercise").waitFor();
    world = worldOf(page);
    await eventually("the editor holds the file", async () => /8081/.test(await editor.inputValue()));
    start = await editor.inputValue();
    await container(page, "web", "up");
    await axe(page, "exercise");
    await shot(page, `practice-${lang}`);
  });

  await check(`${lang}: what the API server would refuse is told at its line`, async () => {
    await editor.fill(start.replace("readinessProbe:", "readinesProbe:"));
    const wrongs = testid(page, "wrongs");
    await wrongs.locator("button", { hasText: word[lang].line }).click();
    assert(/readinesProbe/.test(await page.evaluate(() => getSelection().toString())) ||
      (await editor.evaluate((e) => e.value.slice(e.selectionStart, e.selectionEnd).includes("readinesProbe"))), "the line is selected");
    assert((await editor.getAttribute("aria-invalid")) === "true", "the field says so");
    await shot(page, `practice-wrong-${lang}`);
    await editor.fill("kind: Pod\n  bad");
    await eventually("broken YAML", async () => (await wrongs.locator("li").count()) === 1);
    await testid(page, "undo").click();
    await testid(page, "reset").click();
    await eventually("as at the beginning", async () => (await editor.inputValue()) === start);
    await eventually("nothing is wrong", async () => (await wrongs.locator("li").count()) === 0);
  });

  await check(`${lang}: checks say expected, seen and where, and lead there and back`, async () => {
    await testid(page, "check").click();
    await page.locator('[data-testid="result"][data-pass="false"]').waitFor();
    await axe(page, "failed checks");
    await shot(page, `practice-failed-${lang}`);
    await testid(page, "see").first().click();
    await eventually("the world of the checks", () => ![world, ""].includes(worldOf(page)));
    await page.locator('[data-testid="view-state"][data-view="back"]').waitFor();
    await testid(page, "own-world").click();
    await eventually("the own world", () => worldOf(page) === world);
  });

  await check(`${lang}: three hints one by one, then the solution; a reload keeps them`, async () => {
    const hints = testid(page, "hints").locator("li");
    assert((await hints.count()) === 0, "none at first");
    for (let n = 1; n <= 3; n += 1) {
      await testid(page, "hint-next").click();
      assert((await hints.count()) === n, `${n} hints`);
    }
    assert((await testid(page, "hint-next").count()) === 0, "there is no fourth");
    await testid(page, "solution").click();
    await page.locator(".diff .plus", { hasText: "port: http" }).waitFor();
    await page.reload();
    await testid(page, "exercise").waitFor();
    await eventually("three hints", async () => (await hints.count()) === 3);
  });

  await check(`${lang}: solved by keyboard alone, with a debrief, and the gallery knows`, async () => {
    await editor.focus();
    await page.keyboard.press("Control+a");
    await page.keyboard.insertText(start.replace("port: 8081", "port: http"));
    await testid(page, "check").focus();
    await page.keyboard.press("Enter");
    await page.locator('[data-testid="result"][data-pass="true"]').waitFor();
    assert((await page.evaluate(() => document.activeElement.textContent)).startsWith(word[lang].pass), "the result has the focus");
    await testid(page, "debrief").waitFor();
    await axe(page, "solved");
    await shot(page, `practice-solved-${lang}`);
    await testid(page, "run-world").click();
    await eventually("a new world", () => ![world, ""].includes(worldOf(page)));
    await eventually("web is ready", async () => (await page.locator(".pod", { hasText: "content-init" }).locator(".podstate.ok").count()) > 0);
    await page.goto(`${base}/#/`);
    await testid(page, "exercises-sidecar").locator("summary").click();
    await page.locator(".exercise-item", { has: testid(page, "exercise-wrong-port") }).locator('[data-stage="solved"]').waitFor();
  });

  await check(`${lang}: an exercise fits a phone`, async () => {
    await testid(page, "exercise-wrong-port").click();
    await testid(page, "exercise").waitFor();
    await page.setViewportSize({ width: 390, height: 844 });
    await pause(500);
    assert(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sticks out");
    await axe(page, "exercise on a phone");
    await shot(page, `practice-phone-${lang}`);
  });

  await check(`${lang}: the console stayed silent`, async () => {
    assert(page.complaints.length === 0, page.complaints.join("\n"));
  });
  await page.context().close();
}

await finish();
