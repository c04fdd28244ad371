// Looking closely: breakpoints, what came of an event, requests that are edited and sent again, patterns that are
// recognised, progress that is taken along.
import { readFileSync } from "node:fs";
import { assert, axe, base, check, container, eventually, finish, freeze, open, pause, shot, start, testid, worldOf } from "./harness.mjs";

const world = async (page) => (await fetch(`${base}/api/worlds/${worldOf(page)}`)).json();
const eventOf = async (page, seq) => JSON.parse((await (await fetch(`${base}/api/worlds/${worldOf(page)}/trace?from=${seq}&limit=1`)).text()).split("\n")[0]);
const chosen = (page) => Number(page.url().match(/event=(\d+)/)?.[1] ?? 0);
/** Waits until the world stands at an event after `than`; returns that event. */
const halted = async (page, than = 0) => {
  const seq = await eventually("a breakpoint is met", async () => chosen(page) > than && (await testid(page, "breakpoints").getAttribute("class")).includes("hit") && chosen(page));
  return eventOf(page, seq);
};
const goOn = async (page) => {
  await testid(page, "play").focus();
  await page.keyboard.press("k");
};

{
  const [lang, page] = ["en", await start("en")];
  await container(page, "web", "up");
  const list = testid(page, "breakpoint-list");
  const when = testid(page, "breakpoint-when");

  await check(`${lang}: a breakpoint is set by keyboard; what cannot be read is refused with the reason`, async () => {
    await testid(page, "breakpoints").focus();
    await page.keyboard.press("Enter");
    await list.waitFor();
    await eventually("the field has the focus", () => page.evaluate(() => document.activeElement.id === "breakpoint-when"));
    for (const [wrong, said] of [["", "path:/lock"], ["colour:red", "colour"], ["kind:pod", "restart"], ["status:many", "5xx"]]) {
      await when.fill(wrong);
      await page.keyboard.press("Enter");
      await testid(page, "breakpoint-said").filter({ hasText: said }).waitFor();
    }
    await axe(page, "breakpoints");
    await shot(page, `breakpoints-wrong-${lang}`);
    assert((await list.locator("li").count()) === 0, "none of these was taken");
  });

  await check(`${lang}: the world stops at exactly the event that matches, and goes on to the next`, async () => {
    await when.fill("kind:request from:client");
    await page.keyboard.press("Enter");
    const first = await halted(page);
    assert(first.kind.message.summary.startsWith("GET"), JSON.stringify(first.kind));
    const there = await world(page);
    assert(there.speed === 0 && there.nowNanos === first.at, `the world stands at ${there.nowNanos}, the event is at ${first.at}`);
    await page.locator('[data-testid="world-state"][data-frozen="true"]').waitFor();
    await page.locator('[data-testid="view-state"][data-view="live"]').waitFor();
    await testid(page, "note").filter({ hasText: "kind:request from:client" }).waitFor();
    assert((await list.locator("li.here").count()) === 1, "and the list says which");
    await axe(page, "stopped at a breakpoint");
    await shot(page, `breakpoint-hit-${lang}`);
    await goOn(page);
    const second = await halted(page, first.seq);
    assert(second.at > first.at && (await world(page)).nowNanos === second.at, "the next one, not the same");
    // Whoever takes the world back meets it again.
    await testid(page, "scrub").fill(String(Math.floor(first.at / 1e6) - 5));
    await testid(page, "rewind").click();
    await eventually("the world went back", async () => (await world(page)).nowNanos < first.at);
    await goOn(page);
    await eventually("the first again", async () => chosen(page) === first.seq && (await world(page)).nowNanos === first.at);
  });

  await check(`${lang}: it is named, not heeded, kept, and removed`, async () => {
    await list.waitFor();
    const name = "a client asks";
    await testid(page, "breakpoint-name").fill(name);
    await testid(page, "breakpoint-on").uncheck();
    const at = chosen(page);
    await goOn(page);
    await eventually("the world runs on", async () => (await world(page)).speed === 1);
    await pause(1500);
    assert((await world(page)).speed === 1 && chosen(page) === at, "and does not stop");
    await page.reload();
    await container(page, "web", "up");
    await testid(page, "breakpoints").click();
    assert((await testid(page, "breakpoint-name").inputValue()) === name, "a reload keeps its name");
    assert(!(await testid(page, "breakpoint-on").isChecked()), "and that it is off");
    await testid(page, "breakpoint-remove").click();
    await list.locator("li").waitFor({ state: "detached" });
    await page.keyboard.press("Escape");
    await list.waitFor({ state: "detached" });
    assert((await page.evaluate(() => document.activeElement.dataset.testid)) === "breakpoints", "the keyboard stays near");
  });

  await check(`${lang}: an event's menu sets one for such events; what came of it is a step away`, async () => {
    await freeze(page, true);
    await testid(page, "tab-messages").click();
    const row = testid(page, "rows").locator("button.row", { hasText: "GET" }).filter({ hasText: "client" }).last();
    await row.click({ button: "right" });
    const menu = testid(page, "menu");
    await menu.waitFor();
    await axe(page, "menu of an event");
    await shot(page, `menu-event-${lang}`);
    const from = chosen(page);
    await menu.locator('[data-testid="effect-here"]').click();
    const next = await eventually("a consequence", async () => chosen(page) > from && chosen(page));
    const [ask, effect] = [await eventOf(page, from), await eventOf(page, next)];
    // It came of the request, or of the bytes that carried it.
    assert(effect.cause >= from - 3 && effect.cause <= from || effect.kind.message?.answers === from, `${JSON.stringify(ask)} ${JSON.stringify(effect)}`);
    await page.keyboard.press("Escape");
    await testid(page, "present").click();
    await row.focus();
    await page.keyboard.press("Shift+F10");
    await menu.waitFor();
    await menu.locator('[data-testid="stop-here"]').focus();
    await page.keyboard.press("Enter");
    await testid(page, "note").filter({ hasText: "kind:request path:/" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await freeze(page, false);
    const met = await halted(page, from);
    assert(met.kind.message.summary.startsWith("GET"), JSON.stringify(met.kind));
    await testid(page, "breakpoints").click();
    await testid(page, "breakpoint-remove").click();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
  });

  await check(`${lang}: a request is edited whole and sent again; the answers stand side by side`, async () => {
    await freeze(page, false);
    await testid(page, "tab-messages").click();
    await testid(page, "rows").locator("button.row", { hasText: "GET" }).filter({ hasText: "client" }).last().click();
    const again = testid(page, "again-request");
    await again.locator("summary").click();
    const send = testid(page, "send-again");
    const said = testid(page, "request-said");
    const [method, path, headers, body] = ["method", "path", "headers", "body"].map((f) => testid(page, `request-${f}`));
    assert((await method.inputValue()) === "GET" && (await path.inputValue()) === "/", "it begins with what it said");
    const before = (await world(page)).events;
    for (const [field, wrong, right, words] of [[path, "/../../time", "/", ".."], [path, "no-slash", "/", "slash"], [method, "TRACE", "GET", "TRACE"],
      [headers, "Host: elsewhere", "", "Host"], [headers, "a: b\nnothing", "", "Line 2"], [body, "a body", "", "GET"]]) {
      await field.fill(wrong);
      await send.click();
      await said.filter({ hasText: words }).waitFor();
      assert((await field.getAttribute("aria-invalid")) === "true", `${wrong}: its field is marked`);
      await field.fill(right);
    }
    await axe(page, "a request that is refused");
    await method.fill("POST");
    await path.fill("/posted?by=learner");
    await headers.fill("X-Learner: me\nContent-Type: application/json");
    await body.fill('{"hello": "world"}');
    await send.focus();
    await page.keyboard.press("Enter");
    await testid(page, "answers").locator(".half").nth(1).filter({ hasText: /HTTP\/1\.[01] \d\d\d/ }).waitFor();
    assert(/200 OK/.test(await testid(page, "answers").locator(".half").nth(0).textContent()), "the old one beside it");
    await axe(page, "two answers");
    await shot(page, "resend-en");
    await testid(page, "see-sent").click();
    const sent = await eventually("the request in the trace", async () => {
      const e = await eventOf(page, chosen(page));
      return e.kind.message?.summary === "POST /posted?by=learner" && e.kind.message;
    });
    assert(/x-learner: me/i.test(sent.head) && /application\/json/.test(sent.head), sent.head);
    assert(JSON.stringify(sent.body).includes("hello") || Buffer.from(sent.body).toString() === '{"hello": "world"}', "with its body");
    assert((await world(page)).events > before, "in this world");
    await page.keyboard.press("Escape");
  });

  await check(`${lang}: a request is written from nothing`, async () => {
    await testid(page, "compose-new").click();
    await testid(page, "request-path").fill("/index.html");
    await testid(page, "send-again").click();
    await testid(page, "answers").locator(".half").filter({ hasText: "200 OK" }).waitFor();
    assert((await testid(page, "answers").locator(".half").count()) === 1, "there was no answer before");
    await page.keyboard.press("Escape");
  });

  await check(`${lang}: the console stayed silent`, async () => {
    const odd = page.complaints.filter((c) => !/status of 4\d\d/.test(c));
    assert(odd.length === 0, odd.join("\n"));
  });
  await page.context().close();
}

const made = [];
/** A world of a pattern that has come so far, and stands. */
const worldAt = async (pattern, seconds) => {
  const post = (path, body) => fetch(`${base}${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }).then((r) => r.json());
  const { id } = await post("/api/worlds", { pattern, seed: 7, speed: 0 });
  made.push(id);
  await post(`/api/worlds/${id}/time`, { seek: `${seconds}s` });
  await eventually(`${pattern} at ${seconds} s`, async () => (await (await fetch(`${base}/api/worlds/${id}`)).json()).nowNanos >= seconds * 1e9);
  return id;
};

{
  const page = await open("en");
  for (const [pattern, seconds] of [["sidecar", 10], ["ambassador", 7], ["adapter", 7], ["leader-election", 8], ["work-queue", 6], ["scatter-gather", 4]]) {
    await check(`the trace of ${pattern} shows that it is one, and nothing else`, async () => {
      const id = await worldAt(pattern, seconds);
      // The address names another pattern: the name is not what is looked at.
      await page.goto(`${base}/#/w/${id}`);
      await page.locator('[data-testid="world-state"][data-frozen="true"]').waitFor();
      await testid(page, "recognise").click();
      const found = testid(page, "recognised");
      await testid(page, `found-${pattern}`).waitFor();
      assert((await found.locator("section").count()) === 1, await found.textContent());
      // Each piece of evidence leads to its event.
      const lines = testid(page, `found-${pattern}`).locator("button");
      assert((await lines.count()) >= 3, "evidence");
      await lines.nth(1).focus();
      await page.keyboard.press("Enter");
      await eventually("the event is selected", () => chosen(page) > 0);
      await shot(page, `recognised-${pattern}`);
      if (pattern === "sidecar") {
        await axe(page, "recognised");
        await testid(page, "scrub").fill("900");
        await testid(page, "found-nothing").waitFor();
        await testid(page, "present").click();
        await testid(page, "found-sidecar").waitFor();
      }
      await page.locator(".recognised button").first().focus();
      await page.keyboard.press("Escape");
      await found.waitFor({ state: "detached" });
    });
  }
  await page.context().close();
}

await check("ja: the same in Japanese, in three sizes", async () => {
  const page = await open("ja");
  await page.goto(`${base}/#/w/${made[0]}`);
  await page.locator('[data-testid="world-state"][data-frozen="true"]').waitFor();
  const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  for (const [width, height] of [[1440, 900], [1024, 768], [390, 844]]) {
    await page.setViewportSize({ width, height });
    await testid(page, "recognise").click();
    await testid(page, "found-sidecar").filter({ hasText: "サイドカー" }).waitFor();
    await eventually("it fits", fits);
    const box = await testid(page, "recognised").boundingBox();
    assert(box.x >= 0 && box.x + box.width <= width, `recognised at ${width}: ${JSON.stringify(box)}`);
    await axe(page, `recognised ${width}`);
    await shot(page, `recognised-ja-${width}`);
    await testid(page, "recognise").click();
    await testid(page, "breakpoints").click();
    await testid(page, "breakpoint-when").fill("kind:pod");
    await testid(page, "breakpoint-add").click();
    await testid(page, "breakpoint-said").filter({ hasText: "restart" }).waitFor();
    const list = await testid(page, "breakpoint-list").boundingBox();
    assert(list.x >= 0 && list.x + list.width <= width && list.y >= 0, `breakpoints at ${width}: ${JSON.stringify(list)}`);
    await axe(page, `breakpoints ${width}`);
    await shot(page, `breakpoints-ja-${width}`);
    await page.keyboard.press("Escape");
    await testid(page, "compose-new").click();
    await testid(page, "request-method").fill("TRACE");
    await testid(page, "send-again").click();
    await testid(page, "request-said").filter({ hasText: "CONNECT" }).waitFor();
    await eventually("it fits", fits);
    await axe(page, `compose ${width}`);
    await shot(page, `compose-ja-${width}`);
    await page.keyboard.press("Escape");
  }
  assert(page.complaints.length === 0, page.complaints.join("\n"));
  await page.context().close();
});

await check("progress is saved as a file and loaded in another browser; a stranger's file is refused", async () => {
  const page = await open("en");
  await page.goto(`${base}/`);
  await testid(page, "progress-save").click();
  await testid(page, "progress-said").filter({ hasText: "no progress" }).waitFor();
  await page.evaluate(() => {
    localStorage.setItem("podlab.exercise.ambassador/bypass", JSON.stringify({ files: { "shop.yaml": "kind: Pod\n" }, hints: 1, tries: 2, solved: true, world: "w99" }));
    localStorage.setItem("podlab.predict.sidecar.1", "0110");
  });
  const [saved] = await Promise.all([page.waitForEvent("download"), testid(page, "progress-save").click()]);
  const text = readFileSync(await saved.path(), "utf8");
  assert(saved.suggestedFilename() === "podlab-progress.json" && !text.includes("w99"), text);
  await axe(page, "progress");
  await page.context().close();

  const other = await open("en");
  await other.goto(`${base}/`);
  await testid(other, "exercises-ambassador").waitFor();
  const before = await testid(other, "exercises-ambassador").locator("summary").textContent();
  const load = (name, content) => testid(other, "progress-load").setInputFiles({ name, mimeType: "application/json", buffer: Buffer.from(content) });
  const said = testid(other, "progress-said");
  for (const [name, content, words] of [["a.json", "[1]", "no file of progress"], ["b.json", '{"podlab-progress": 9}', "later version"], ["c.json", " ".repeat(5 << 20), "larger"]]) {
    await load(name, content);
    await said.filter({ hasText: words }).waitFor();
  }
  assert((await other.evaluate(() => Object.keys(localStorage).filter((k) => /exercise|predict/.test(k)).length)) === 0, "nothing of them was taken");
  await load("podlab-progress.json", text);
  await said.filter({ hasText: "2 entries taken over; 0" }).waitFor();
  await eventually("the gallery shows it", async () => (await testid(other, "exercises-ambassador").locator("summary").textContent()) !== before);
  await load("podlab-progress.json", text);
  await said.filter({ hasText: "0 entries taken over; 2" }).waitFor();
  await shot(other, "progress-en");
  assert(other.complaints.length === 0, other.complaints.join("\n"));
  await other.context().close();
});

for (const id of made) await fetch(`${base}/api/worlds/${id}`, { method: "DELETE" });
await finish();
