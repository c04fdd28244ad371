// What a learner does on the page, in a real browser, in both languages.
//
//   BASE_URL=http://127.0.0.1:PORT CHROMIUM=/usr/bin/chromium node page.mjs
//
// Needs the packages playwright-core and axe-core. Prints "ok - name" or "not ok - name" for
// each thing tried, and exits with 1 if one failed. SHOTS=DIR keeps pictures.
import { assert, axe, base, check, container, eventually, finish, freeze, inked, instant, lookAt, open, pause, shot, testid, worldOf } from "./harness.mjs";

await check("the first load weighs at most 600 KiB", async () => {
  const page = await open("en");
  await page.goto(`${base}/`);
  await testid(page, "start").waitFor();
  const loaded = await page.evaluate(() => performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
    .map((e) => ({ name: e.name, bytes: e.encodedBodySize, whole: e.decodedBodySize })));
  assert(loaded.some((e) => e.name.endsWith(".wasm") && e.bytes > 0 && e.bytes < e.whole / 2), "the program is compressed");
  const sum = loaded.reduce((sum, e) => sum + e.bytes, 0);
  console.log(`# first load: ${Math.ceil(sum / 1024)} KiB in ${loaded.length} files`);
  assert(sum <= 600 * 1024, `${sum} bytes: ${JSON.stringify(loaded)}`);
  await page.context().close();
});

for (const lang of ["en", "ja"]) {
  const page = await open(lang);
  let world = "";

  await check(`${lang}: the gallery opens and starts the sidecar world`, async () => {
    await page.goto(`${base}/`);
    await testid(page, "start").waitFor();
    assert((await page.getAttribute("html", "lang")) === lang, "the document says its language");
    await axe(page, "gallery");
    await shot(page, `gallery-${lang}`);
    await testid(page, "start").click();
    await testid(page, "container-log-saver").waitFor();
    world = worldOf(page);
    assert(world, `the address names the world: ${page.url()}`);
  });

  await check(`${lang}: what does not run cannot be killed, and the page says why`, async () => {
    // Init containers end before the others begin.
    await container(page, "content-init", "done");
    await testid(page, "container-content-init").focus();
    await page.keyboard.press("Enter");
    for (const id of ["kill", "hold"]) {
      await page.locator(`[data-testid="${id}"][aria-disabled="true"]`).waitFor();
      assert(await testid(page, id).getAttribute("title"), `${id} says why not`);
      // It takes the click and asks nothing of the server: the console stays silent.
      await testid(page, id).click({ force: true });
    }
    assert((await testid(page, "note").count()) === 0, "nothing was done");
    assert(/content-init/.test(await testid(page, "why-not").textContent()), "the reason is seen");
    await page.keyboard.press("Escape");
  });

  await check(`${lang}: a request from outside is answered, and its sender stands in the picture`, async () => {
    await container(page, "web", "up");
    // Nobody who says nothing to anybody is drawn, and a kubelet belongs to its node.
    assert((await page.locator(".chip.outside").count()) === 0, "nobody outside yet");
    assert((await page.locator(".node .kubelet").count()) > 0, "kubelets stand in their nodes");
    await eventually("web is ready", async () => (await page.locator(".pod", { hasText: "content-init" }).locator(".podstate.ok").count()) > 0);
    await testid(page, "send").click();
    await testid(page, "note").filter({ hasText: "200 OK" }).waitFor();
    await page.locator(".chip.outside").waitFor();
  });

  await check(`${lang}: a request travels`, async () => {
    await eventually("messages in the list", async () => (await testid(page, "strip").locator("button").count()) > 0);
    await eventually("a mark on the canvas", async () => (await inked(page)) > 20);
    const seen = new Set();
    await eventually("the marks move", async () => {
      seen.add(await inked(page));
      return seen.size > 3;
    });
  });

  await check(`${lang}: freezing stops the world, and everything stays where it is`, async () => {
    await eventually("a mark in flight", async () => (await inked(page)) > 20);
    await freeze(page, true);
    await pause(400);
    const [time, ink] = [await testid(page, "instant").textContent(), await inked(page)];
    await pause(700);
    assert((await testid(page, "instant").textContent()) === time, "the clock stands");
    assert((await inked(page)) === ink, "the marks stand");
    await shot(page, `frozen-${lang}`);
  });

  await check(`${lang}: a message opens with its request and its response`, async () => {
    await testid(page, "tab-messages").click();
    const row = testid(page, "rows").locator("button.row", { hasText: "200 OK" }).last();
    await row.focus();
    await page.keyboard.press("Enter");
    const inspector = testid(page, "inspector");
    await inspector.waitFor();
    assert((await inspector.locator(".half").count()) === 2, "two halves");
    assert(/HTTP\/1\.1/.test(await inspector.locator(".half").first().textContent()), "the request's first line");
    assert(/200/.test(await inspector.locator(".half").nth(1).textContent()), "the response's first line");
    await inspector.locator("button.form", { hasText: lang === "ja" ? "16" : "Hex" }).last().click();
    await inspector.locator("pre", { hasText: "000000" }).first().waitFor();
    await axe(page, "inspector");
    await shot(page, `inspector-${lang}`);
    await page.keyboard.press("Escape");
    await inspector.waitFor({ state: "detached" });
  });

  await check(`${lang}: one step moves the frozen world on`, async () => {
    const before = await testid(page, "instant").textContent();
    // Many events may share a millisecond, so a few steps are allowed.
    for (let i = 0; i < 40 && (await testid(page, "instant").textContent()) === before; i += 1) {
      await testid(page, "step").click();
      await pause(120);
    }
    assert((await testid(page, "instant").textContent()) !== before, "the clock moved");
    assert((await testid(page, "world-state").getAttribute("data-frozen")) === "true", "and the world is still frozen");
  });

  await check(`${lang}: looking back is not the same as freezing`, async () => {
    await freeze(page, false);
    await testid(page, "scrub").focus();
    await page.keyboard.press("Home");
    await page.locator('[data-testid="view-state"][data-view="back"]').waitFor();
    assert((await testid(page, "world-state").getAttribute("data-frozen")) === "false", "the world runs on");
    await testid(page, "present").click();
    await page.locator('[data-testid="view-state"][data-view="live"]').waitFor();
  });

  await check(`${lang}: the scrubber shows what was true then`, async () => {
    await lookAt(page, 600);
    assert((await instant(page)) === 0.6, `0.6 s, not ${await instant(page)}`);
    await container(page, "log-saver", "wait");
    assert((await testid(page, "container-log-saver").getAttribute("aria-label")).includes("PodInitializing"), "and why");
    // The past cannot be changed.
    await testid(page, "container-log-saver").focus();
    await page.keyboard.press("Enter");
    await page.locator('[data-testid="kill"][aria-disabled="true"]').waitFor();
    await page.keyboard.press("Escape");
    await shot(page, `back-${lang}`);
    await testid(page, "present").click();
    await container(page, "log-saver", "up");
  });

  await check(`${lang}: a paused container stands until it is resumed`, async () => {
    await testid(page, "container-log-store").focus();
    await page.keyboard.press("Enter");
    await page.locator('[data-testid="hold"][aria-disabled="false"]').click();
    await container(page, "log-store", "held");
    await shot(page, `held-${lang}`);
    await testid(page, "hold").click();
    await container(page, "log-store", "up");
    await page.keyboard.press("Escape");
  });

  await check(`${lang}: the killed log-saver comes back`, async () => {
    const saver = testid(page, "container-log-saver");
    await container(page, "log-saver", "up");
    const runs = Number(await saver.getAttribute("data-runs"));
    await saver.focus();
    await page.keyboard.press("Enter");
    await page.locator('[data-testid="kill"][aria-disabled="false"]').click();
    await testid(page, "note").waitFor();
    // The back-off of a restart is 10 s of the world's time, at most.
    await eventually("it runs again", async () =>
      Number(await saver.getAttribute("data-runs")) > runs && (await saver.getAttribute("data-state")) === "up");
    await page.keyboard.press("Escape");
    await shot(page, `restarted-${lang}`);
  });

  await check(`${lang}: logs and events are listed`, async () => {
    await testid(page, "tab-events").click();
    await eventually("events", async () => Number(await testid(page, "rows").getAttribute("data-count")) > 0);
    await testid(page, "tab-logs").click();
    await eventually("logs", async () => Number(await testid(page, "rows").getAttribute("data-count")) > 0);
    await axe(page, "world");
  });

  await check(`${lang}: the other language keeps the place`, async () => {
    await testid(page, "lang").click();
    const other = lang === "en" ? "ja" : "en";
    await page.locator(`html[lang="${other}"]`).waitFor();
    assert(page.url().includes(`#/w/${world}`), "the same world");
    assert((await testid(page, "tab-logs").getAttribute("aria-selected")) === "true", "the same panel");
    await page.reload();
    await testid(page, "container-log-saver").waitFor();
    assert((await page.getAttribute("html", "lang")) === other, "a reload keeps the language");
    assert((await testid(page, "tab-logs").getAttribute("aria-selected")) === "true", "and the panel");
  });

  await check(`${lang}: a fork goes on from the instant one looks at, beside the first world`, async () => {
    await lookAt(page, 2500);
    await testid(page, "fork").click();
    await eventually("another world", () => ![world, ""].includes(worldOf(page)));
    await page.locator('[data-testid="view-state"][data-view="live"]').waitFor();
    await eventually("it begins there", async () => (await instant(page)) >= 2.5);
    // The fork has not seen the kill, which came later.
    assert((await testid(page, "container-log-saver").getAttribute("data-runs")) === "0", "without what came later");
    const { worlds } = await (await fetch(`${base}/api/worlds`)).json();
    const ids = worlds.map((w) => w.id);
    assert(ids.includes(world) && ids.includes(worldOf(page)), `both are there: ${ids}`);
  });

  await check(`${lang}: the console stayed silent`, async () => {
    assert(page.complaints.length === 0, page.complaints.join("\n"));
  });
  await page.context().close();
}

await finish();
