// What a page keeps: through a reload, a lost connection, a world that is gone.
import { assert, base, check, container, eventually, finish, freeze, instant, line, lookAt, open, shot, start, testid, worldOf } from "./harness.mjs";

await check("a reload keeps the world, and it has gone on meanwhile", async () => {
  const page = await start("en");
  const world = worldOf(page);
  await container(page, "log-saver", "up");
  const before = await instant(page);
  await page.reload();
  await container(page, "log-saver", "up");
  assert(worldOf(page) === world, `${page.url()} is another world than ${world}`);
  await eventually("the clock goes on from where it was", async () => (await instant(page)) > before);
  await page.context().close();
});

await check("a reload keeps the instant one looks at", async () => {
  const page = await start("en");
  await container(page, "log-saver", "up");
  await lookAt(page, 500);
  await eventually("the address says when", () => /[?&]t=0\.5/.test(page.url()));
  await page.reload();
  await page.locator('[data-view="back"]').waitFor();
  await eventually("half a second", async () => (await instant(page)) === 0.5);
  await container(page, "log-saver", "wait");
  await page.context().close();
});

for (const lang of ["en", "ja"]) {
  await check(`${lang}: a lost connection is told, and mended without loss`, async () => {
    const wire = await line();
    const page = await start(lang, {}, wire.url);
    await container(page, "log-saver", "up");
    const world = worldOf(page);
    await wire.cut();
    const trouble = testid(page, "trouble");
    await trouble.waitFor();
    assert(/podlab up/.test(await trouble.textContent()), "it says what to do");
    assert(await testid(page, "container-log-saver").isVisible(), "the picture stays");
    await shot(page, `lost-${lang}`);
    const before = await instant(page);
    await wire.mend();
    await testid(page, "again").click();
    await trouble.waitFor({ state: "detached" });
    await eventually("the clock goes on", async () => (await instant(page)) > before);
    assert(worldOf(page) === world, "the same world");
    await page.context().close();
    await wire.cut();
  });
}

await check("a lost connection is mended by itself", async () => {
  const wire = await line();
  const page = await start("en", {}, wire.url);
  await wire.cut();
  await testid(page, "trouble").waitFor();
  await wire.mend();
  await testid(page, "trouble").waitFor({ state: "detached" });
  const before = await instant(page);
  await eventually("the clock goes on", async () => (await instant(page)) > before);
  await freeze(page, true);
  await page.context().close();
  await wire.cut();
});

await check("a world that is gone is explained, with a way on", async () => {
  const page = await open("en");
  await page.goto(`${base}/#/w/no-such-world?pattern=sidecar&lang=en`);
  await page.locator(".banner.trouble button").click();
  await testid(page, "container-log-saver").waitFor();
  assert(worldOf(page) !== "no-such-world", "another world");
  await page.context().close();
});

await finish();
