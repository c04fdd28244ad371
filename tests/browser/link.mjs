// A link to what one sees: copied, opened by somebody else, and told what is wrong with it.
import { assert, axe, base, check, container, eventually, finish, freeze, instant, lookAt, open, shot, start, testid, worldOf } from "./harness.mjs";

for (const lang of ["en", "ja"]) {
  const page = await start(lang, { permissions: ["clipboard-read", "clipboard-write"] });
  let [link, first] = ["", []];

  await check(`${lang}: a link is copied that holds pattern, seed, time and selection`, async () => {
    await container(page, "log-saver", "up");
    await eventually("a message", async () => (await testid(page, "strip").locator("button", { hasText: "200 OK" }).count()) > 0);
    await testid(page, "speed").fill("20");
    await eventually("eight seconds", async () => (await instant(page)) > 8);
    await freeze(page, true);
    await lookAt(page, 7250);
    await testid(page, "container-log-saver").focus();
    await page.keyboard.press("Enter");
    await eventually("the address names it", () => /what=container:default\/web\/log-saver/.test(page.url()));
    await testid(page, "copy-link").focus();
    await page.keyboard.press("Enter");
    await testid(page, "note").waitFor();
    link = await page.evaluate(() => navigator.clipboard.readText());
    assert(/#\/open\?v=1&pattern=sidecar&seed=7&epoch=\d+&t=7\.25/.test(link), link);
    first = await (await fetch(`${base}/api/worlds/${worldOf(page)}/trace?limit=2000`)).text();
    // By mouse the same.
    await page.evaluate(() => navigator.clipboard.writeText(""));
    await testid(page, "copy-link").click();
    await eventually("again", async () => (await page.evaluate(() => navigator.clipboard.readText())) === link);
    // A reload keeps the selection.
    await page.reload();
    await testid(page, "inspector").locator("h2", { hasText: "log-saver" }).waitFor();
  });

  await check(`${lang}: who opens it has a world of their own, at that instant, with the thing selected`, async () => {
    const other = await open(lang);
    await other.goto(link);
    await testid(other, "container-log-saver").waitFor();
    assert(worldOf(other) && worldOf(other) !== worldOf(page), "another world");
    assert((await testid(other, "world-state").getAttribute("data-frozen")) === "true", "it stands");
    assert((await instant(other)) === 7.25, `at 7.25 s, not ${await instant(other)}`);
    await testid(other, "inspector").locator("h2", { hasText: "log-saver" }).waitFor();
    const second = await (await fetch(`${base}/api/worlds/${worldOf(other)}/trace?limit=2000`)).text();
    assert(second.length > 10_000 && first.slice(0, second.length) === second.slice(0, first.length), "the same has happened, byte for byte");
    await axe(other, "opened link");
    // It goes on from there; and going back does not open the link once more.
    await freeze(other, false);
    await eventually("it runs", async () => (await instant(other)) > 7.3);
    assert(!/#\/open/.test(other.url()), other.url());
    await other.context().close();
  });

  if (lang === "en") await check(`${lang}: an event of a link is found, and one that is not there is told`, async () => {
    const other = await open(lang);
    await other.goto(`${base}/#/open?v=1&pattern=sidecar&seed=7&t=3&what=event:50&show=order&panel=logs`);
    await testid(other, "inspector").waitFor();
    assert(/event=50/.test(other.url()) && /show=order/.test(other.url()), other.url());
    assert((await testid(other, "tab-logs").getAttribute("aria-selected")) === "true", "the panel is open");
    await other.goto(`${base}/#/open?v=1&pattern=sidecar&seed=7&t=3&what=pod:default/nobody`);
    await testid(other, "note").filter({ hasText: "pod:default/nobody" }).waitFor();
    await other.context().close();
  });

  await check(`${lang}: what is wrong with a link is told, with a way on`, async () => {
    const other = await open(lang);
    const wrong = ["v=0&pattern=sidecar&seed=7", "v=1&seed=7", "v=1&pattern=sidecar&seed=x", "v=1&pattern=sidecar&seed=7&t=1e9", "v=1&pattern=sidecar&seed=7&what=moon:a", "v=1&pattern=no-such&seed=7"];
    const told = new Set();
    for (const query of wrong) {
      await other.goto("about:blank");
      await other.goto(`${base}/#/open?${query}`);
      await testid(other, "link-trouble").waitFor();
      told.add(await testid(other, "link-trouble").textContent());
    }
    assert(told.size === wrong.length, [...told].join("\n"));
    assert([...told].some((t) => t.includes("no-such")), "the pattern is named");
    await axe(other, "wrong link");
    await shot(other, `link-wrong-${lang}`);
    await testid(other, "link-home").focus();
    await other.keyboard.press("Enter");
    await testid(other, "start").waitFor();
    const odd = other.complaints.filter((c) => !/status of 404/.test(c));
    assert(odd.length === 0, odd.join("\n"));
    await other.context().close();
  });

  if (lang === "en") await check(`${lang}: what was done to a world is told not to be in its link`, async () => {
    await testid(page, "present").click();
    await testid(page, "speed").fill("10");
    await freeze(page, false);
    await container(page, "log-saver", "up");
    await page.locator('[data-testid="kill"][aria-disabled="false"]').click();
    await testid(page, "note").filter({ hasText: "log-saver" }).waitFor();
    await page.evaluate(() => navigator.clipboard.writeText(""));
    await testid(page, "copy-link").click();
    await testid(page, "note").filter({ hasText: "1" }).waitFor();
    await eventually("copied", async () => /#\/open/.test(await page.evaluate(() => navigator.clipboard.readText())));
  });

  await check(`${lang}: the console stayed silent`, async () => {
    assert(page.complaints.length === 0, page.complaints.join("\n"));
  });
  await page.context().close();
}

await finish();
