// Four views of one trace, and what is done to things: the order of events, lists, streams, logs, menus, YAML.
import { assert, axe, base, check, container, eventually, finish, freeze, pause, shot, start, testid, worldOf } from "./harness.mjs";

for (const lang of ["en", "ja"]) {
  const page = await start(lang);
  const lanes = testid(page, "lanes");
  await eventually("web answers its client", async () =>
    (await testid(page, "strip").locator("button", { hasText: "web → client" }).count()) > 0);

  await check(`${lang}: the order of events stands beside the picture, and the address remembers it`, async () => {
    await testid(page, "view-both").click();
    await lanes.waitFor();
    await eventually("arrows", async () => Number(await lanes.getAttribute("data-arrows")) > 10);
    assert(/[?&]show=both/.test(page.url()), page.url());
    await freeze(page, true);
    await axe(page, "both");
    await shot(page, `both-${lang}`);
  });

  await check(`${lang}: a message selected in one view is selected in all, with causes and consequences`, async () => {
    await testid(page, "tab-messages").click();
    await testid(page, "rows").locator("button.row", { hasText: "web → client" }).last().click();
    await lanes.locator(".arrow.chosen").waitFor();
    assert((await lanes.locator(".arrow.kin").count()) > 1, "what hangs together is marked");
    await testid(page, "rows").locator(".row.chosen").waitFor();
    // From there by keyboard, in the order of events.
    const first = await lanes.locator(".arrow.chosen").getAttribute("id");
    await lanes.locator(".arrow.chosen").focus();
    await page.keyboard.press("ArrowLeft");
    await eventually("another one", async () => (await lanes.locator(".arrow.chosen").getAttribute("id")) !== first);
    await page.keyboard.press("Escape");
    await lanes.locator(".arrow.chosen").waitFor({ state: "detached" });
  });

  await check(`${lang}: a pod's lanes fold into one`, async () => {
    const before = await lanes.locator(".lane-name").count();
    await testid(page, "fold-web").click();
    await eventually("fewer lanes", async () => (await lanes.locator(".lane-name").count()) < before);
    await testid(page, "fold-web").click();
    await eventually("as before", async () => (await lanes.locator(".lane-name").count()) === before);
  });

  await check(`${lang}: the filter knows who, what and when; a stream is followed`, async () => {
    const filter = page.locator('input[type="search"]');
    const rows = testid(page, "rows");
    const count = async () => Number(await rows.getAttribute("data-count"));
    const all = await count();
    await filter.fill("is:response from:web -is:error");
    await eventually("only these", async () => (await count()) > 0 && (await count()) < all);
    await rows.locator("button.row").last().click();
    await testid(page, "follow").click();
    const talk = testid(page, "conversation");
    await talk.locator("li.up").first().waitFor();
    assert(/HTTP\/1\.1/.test(await talk.textContent()), "the bytes are shown");
    await axe(page, "stream");
    await testid(page, "only-conn").click();
    assert(/^conn:\d+$/.test(await filter.inputValue()), "the list holds only this connection");
    await filter.fill("");
    await page.keyboard.press("Escape");
  });

  await check(`${lang}: why it went there, the same once more, and what came of it`, async () => {
    await freeze(page, false);
    await testid(page, "tab-messages").click();
    const row = testid(page, "rows").locator("button.row", { hasText: "client → web" }).or(testid(page, "rows").locator("button.row", { hasText: "client/load → web" }));
    await row.last().focus();
    await page.keyboard.press("Enter");
    const why = testid(page, "why");
    await why.locator("summary").click();
    assert(/default\/web/.test(await why.textContent()), "the Service is named");
    const again = testid(page, "again-request");
    await again.locator("summary").click();
    assert(/curl -i '.*\/proxy\/web:8080\//.test(await again.textContent()), await again.textContent());
    await testid(page, "request-path").fill("/nothing-here");
    await testid(page, "send-again").click();
    await testid(page, "note").filter({ hasText: "404" }).waitFor();
    await axe(page, "once more");
    const chosen = page.url().match(/event=(\d+)/)[1];
    await testid(page, "effect").click();
    await page.locator('[data-testid="view-state"][data-view="back"]').waitFor();
    await eventually("what came of it", () => Number(page.url().match(/event=(\d+)/)?.[1]) > Number(chosen));
    await testid(page, "present").click();
    await page.keyboard.press("Escape");
  });

  await check(`${lang}: logs of several containers, in one order`, async () => {
    await testid(page, "tab-logs").click();
    const chips = testid(page, "log-containers").locator("button");
    await chips.nth(1).click();
    await chips.nth(2).click();
    assert((await testid(page, "log-containers").locator('[aria-pressed="true"]').count()) === 2, "two are chosen");
    await chips.nth(0).click();
    assert((await testid(page, "log-containers").locator('[aria-pressed="true"]').count()) === 1, "all again");
  });

  await check(`${lang}: a container has a menu, by mouse and by keyboard, with the same as commands`, async () => {
    await testid(page, "view-picture").click();
    await testid(page, "container-log-saver").click({ button: "right" });
    const menu = testid(page, "menu");
    await menu.waitFor();
    assert(/fault: \{kill: \{target: default\/web\/log-saver\}\}/.test(await testid(page, "commands").textContent()), "the line of a scenario");
    await axe(page, "menu");
    await shot(page, `menu-${lang}`);
    await page.keyboard.press("Escape");
    await menu.waitFor({ state: "detached" });
    await testid(page, "container-log-store").focus();
    await page.keyboard.press("Shift+F10");
    await menu.waitFor();
    await menu.locator('[data-testid="hold"][aria-disabled="false"]').focus();
    await page.keyboard.press("Enter");
    await container(page, "log-store", "held");
    await menu.locator('[data-testid="hold"]').focus();
    await page.keyboard.press("Enter");
    await container(page, "log-store", "up");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
  });

  await check(`${lang}: the YAML of a pod is tried out while it is typed, then applied`, async () => {
    await testid(page, "pod-client").click();
    const area = page.locator("#object-yaml");
    await area.waitFor();
    const yaml = await area.inputValue();
    assert(/^apiVersion: v1\nkind: Pod\n/.test(yaml), yaml.slice(0, 60));
    await area.fill(yaml.replace("spec:", "spek:"));
    await testid(page, "wrongs").locator("li", { hasText: "spek" }).waitFor();
    assert(await testid(page, "apply").isDisabled(), "what is wrong cannot be applied");
    await axe(page, "YAML");
    await area.fill(yaml.replace("  labels:\n", "  labels:\n    learned: \"yes\"\n"));
    await eventually("nothing is wrong", async () => (await testid(page, "wrongs").locator("li").count()) === 0 && !(await testid(page, "apply").isDisabled()));
    await testid(page, "apply").click();
    await testid(page, "note").filter({ hasText: "client" }).waitFor();
    const pod = await (await fetch(`${base}/api/worlds/${worldOf(page)}/kube/api/v1/namespaces/default/pods/client`)).json();
    assert(pod.metadata.labels.learned === "yes", "it is in the world");
    await shot(page, `yaml-${lang}`);
    await page.keyboard.press("Escape");
  });

  await check(`${lang}: a node is drained, a link is cut`, async () => {
    await testid(page, "node-node-2").focus();
    await page.keyboard.press("Enter");
    assert(/kubectl cordon node-2/.test(await testid(page, "commands").textContent()), "with kubectl");
    await page.locator('[data-testid="drain"][aria-disabled="false"]').click();
    const at = `${base}/api/worlds/${worldOf(page)}/kube/api/v1`;
    await eventually("node-2 takes no pods", async () => (await (await fetch(`${at}/nodes/node-2`)).json()).spec.unschedulable === true);
    await page.keyboard.press("Escape");
    await eventually("a line between pods", async () => (await page.locator('g.edge[aria-label*="client"]').count()) > 0);
    await page.locator('g.edge[aria-label*="client"]').first().focus();
    await page.keyboard.press("Enter");
    await page.locator('[data-testid="partition"][aria-disabled="false"]').click();
    await testid(page, "note").waitFor();
    await page.locator('[data-testid="heal"]').click();
    await page.keyboard.press("Escape");
  });

  await check(`${lang}: the console stayed silent`, async () => {
    // What the API server refuses is an answer here, and browsers log every such answer.
    const odd = page.complaints.filter((c) => !/status of 4(00|04|22)/.test(c));
    assert(odd.length === 0, odd.join("\n"));
  });
  await page.context().close();
}

await finish();
