// What is taken away and brought back: one HTML file that plays without a server, other formats, pictures, recordings to open, the page in another page.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { assert, axe, base, check, eventually, finish, freeze, inked, instant, open, shot, start, testid, worldOf } from "./harness.mjs";

const dir = mkdtempSync(join(tmpdir(), "podlab-share-"));

/** Chooses an entry of the export menu, by keyboard or by mouse, and keeps what comes. */
async function take(page, id, { keyboard = false } = {}) {
  const menu = testid(page, "export");
  const button = testid(page, `export-${id}`);
  const coming = page.waitForEvent("download");
  if (keyboard) {
    await menu.locator("summary").focus();
    await page.keyboard.press("Enter");
    await button.waitFor();
    for (let i = 0; i < 12 && !(await button.evaluate((b) => b === document.activeElement)); i += 1) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
  } else {
    await menu.locator("summary").click();
    await button.click();
  }
  const download = await coming;
  const path = join(dir, download.suggestedFilename());
  await download.saveAs(path);
  await testid(page, "note").filter({ hasText: download.suggestedFilename() }).waitFor();
  assert((await menu.getAttribute("open")) === null, "the menu is closed again");
  return path;
}

/** A page that has no network at all, and the policies of what it opens in force. */
const offline = (lang, options = {}) => open(lang, { offline: true, bypassCSP: false, ...options });

let recording = "";
for (const lang of ["en", "ja"]) {
  const page = await start(lang);
  await eventually("web answers its client", async () =>
    (await testid(page, "strip").locator("button", { hasText: "200" }).count()) > 0);
  await eventually("something has happened", async () => (await instant(page)) > 4);
  await freeze(page, true);
  let html = "";

  await check(`${lang}: the export menu opens and closes by keyboard`, async () => {
    const menu = testid(page, "export");
    await menu.locator("summary").focus();
    await page.keyboard.press("Enter");
    await testid(page, "export-html").waitFor();
    await axe(page, "export menu");
    await shot(page, `export-${lang}`);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Escape");
    await eventually("closed", async () => (await menu.getAttribute("open")) === null);
    assert(await menu.locator("summary").evaluate((s) => s === document.activeElement), "the focus is where it was");
  });

  await check(`${lang}: the recording is one HTML file`, async () => {
    html = await take(page, "html", { keyboard: true });
    const size = statSync(html).size;
    console.log(`# one HTML file: ${Math.ceil(size / 1024)} KiB`);
    assert(html.endsWith(".html") && size > 500_000 && size < 4_000_000, `${html}: ${size}`);
    assert(!/https?:\/\/(?!www\.w3\.org)[a-z]/.test(readFileSync(html, "utf8").split("<script type=\"application")[0]), "it names nobody else");
  });

  await check(`${lang}: the trace comes in the formats of other tools, the view as a picture`, async () => {
    const jsonl = readFileSync(await take(page, "jsonl"), "utf8").trim().split("\n").map((l) => JSON.parse(l));
    assert(jsonl.length > 100 && jsonl.every((e, i) => e.seq === i + 1), "every event, in order");
    const pcapng = readFileSync(await take(page, "pcapng"));
    assert(pcapng.readUInt32LE(0) === 0x0a0d0d0a, "a section header block");
    const har = JSON.parse(readFileSync(await take(page, "har"), "utf8"));
    assert(har.log.version === "1.2" && har.log.entries.some((e) => e.response.status === 200), "answers in the archive");
    const otlp = JSON.parse(readFileSync(await take(page, "otlp"), "utf8"));
    assert(otlp.resourceSpans.length > 0, "spans");
    recording = await take(page, "plrec");
    assert(readFileSync(recording).subarray(0, 8).toString() === "PODLABRC", "a recording");
    const svg = readFileSync(await take(page, "svg", { keyboard: true }), "utf8");
    assert(/^<svg/.test(svg) && svg.includes("log-saver") && svg.includes("data:image/png") && !/class=|<script|tabindex/.test(svg), svg.slice(0, 300));
    const png = readFileSync(await take(page, "png"));
    assert(png.readUInt32BE(0) === 0x89504e47 && png.readUInt32BE(16) > 1000, "a PNG of a good width");
  });

  await check(`${lang}: the SVG stands alone, without the page's styles`, async () => {
    const alone = await offline(lang);
    await alone.goto(pathToFileURL(join(dir, `podlab-${worldOf(page)}.svg`)).href);
    const fill = await alone.evaluate(() => document.querySelector("text").getAttribute("fill"));
    assert(/^rgb/.test(fill), fill);
    await shot(alone, `svg-${lang}`);
    assert(alone.complaints.length === 0, alone.complaints.join("\n"));
    await alone.context().close();
  });

  await check(`${lang}: the file plays from the disk, without a network, under its own policy`, async () => {
    const film = await offline(lang);
    await film.goto(pathToFileURL(html).href);
    await testid(film, "container-log-saver").waitFor();
    assert((await film.getAttribute("html", "lang")) === lang, "in the language of the browser");
    assert((await testid(film, "world-state").getAttribute("data-frozen")) === "true", "it stands");
    await testid(film, "about-recording").waitFor();
    for (const absent of ["tab-terminal", "tab-practice", "fork", "rewind", "send", "export-html"]) {
      assert((await testid(film, absent).count()) === 0, `${absent} is not there`);
    }
    // By mouse: from its end it begins at its beginning.
    const end = await instant(film);
    assert(end > 3, `the end of the recording is shown: ${end}`);
    await testid(film, "play").click();
    await eventually("it plays", async () => (await testid(film, "world-state").getAttribute("data-frozen")) === "false");
    await eventually("marks fly", async () => (await inked(film)) > 20);
    await testid(film, "play").click();
    const stands = await instant(film);
    assert(stands < end, `it began again: ${stands}`);
    // By keyboard: a step forth, a step back, play, pause.
    await film.keyboard.press(".");
    await eventually("one event further", async () => (await instant(film)) >= stands);
    await film.keyboard.press(",");
    await film.keyboard.press("k");
    await eventually("it plays again", async () => (await testid(film, "world-state").getAttribute("data-frozen")) === "false");
    await film.keyboard.press("k");
    // Scrubbing there and back is the same picture.
    const scrub = testid(film, "scrub");
    const picture = async (ms) => {
      await scrub.fill(String(ms));
      await eventually(`${ms} ms are shown`, async () => Math.abs((await instant(film)) * 1000 - ms) < 2);
      return film.evaluate(() => new Promise((done) => setTimeout(() => done([...document.querySelectorAll("svg.scene *")].map((e) =>
        // In which order attributes stand is no part of the picture.
        [e.tagName, ...[...e.attributes].map((a) => `${a.name}=${a.value}`).sort(), e.childElementCount ? "" : e.textContent].join(" ")).join("\n")), 300)));
    };
    const middle = Math.round(end * 500);
    const there = await picture(middle);
    await picture(Math.round(end * 900));
    assert((await picture(middle)) === there, "the same picture");
    await axe(film, "a recording");
    await shot(film, `file-${lang}`);
    assert(film.complaints.length === 0, film.complaints.join("\n"));
    await film.context().close();
  });

  await check(`${lang}: in the file one inspects, filters, reads logs and lanes, and changes the language`, async () => {
    const film = await offline(lang, { viewport: { width: 1200, height: 800 } });
    await film.goto(pathToFileURL(html).href);
    await testid(film, "tab-messages").click();
    const rows = testid(film, "rows");
    await rows.locator("button.row", { hasText: "200 OK" }).last().click();
    const inspector = testid(film, "inspector");
    assert(/HTTP\/1\.1/.test(await inspector.textContent()), "request and response");
    assert((await testid(film, "again-request").count()) === 0, "nothing can be sent again");
    await film.keyboard.press("Escape");
    const all = Number(await rows.getAttribute("data-count"));
    await film.locator('input[type="search"]').fill("is:response");
    await eventually("fewer rows", async () => Number(await rows.getAttribute("data-count")) < all);
    await testid(film, "tab-logs").click();
    await testid(film, "log-containers").locator("button").nth(1).click();
    await testid(film, "view-both").click();
    await eventually("arrows", async () => Number(await testid(film, "lanes").getAttribute("data-arrows")) > 5);
    await testid(film, "view-picture").click();
    await testid(film, "pod-client").focus();
    await film.keyboard.press("Enter");
    await testid(film, "no-deeds").waitFor();
    assert(/kind: Pod/.test(await film.locator("#object-yaml").inputValue()), "its YAML, to read");
    await axe(film, "a pod of a recording");
    await film.keyboard.press("Escape");
    await testid(film, "lang").click();
    assert((await film.getAttribute("html", "lang")) !== lang, "the other language");
    assert(film.complaints.length === 0, film.complaints.join("\n"));
    await film.context().close();
  });

  await check(`${lang}: embedded it is only the picture and its time`, async () => {
    const film = await offline(lang, { viewport: { width: 800, height: 500 } });
    await film.goto(`${pathToFileURL(html).href}?embed`);
    await testid(film, "scene").waitFor();
    await testid(film, "play").waitFor();
    assert((await film.locator("header, .side:visible, .foot:visible").count()) === 0, "nothing else");
    const overflow = await film.evaluate(() => document.documentElement.scrollHeight - innerHeight);
    assert(overflow <= 0, `it fits: ${overflow}`);
    await testid(film, "play").focus();
    await film.keyboard.press("Enter");
    await eventually("it plays", async () => (await inked(film)) > 20);
    await axe(film, "embedded");
    await shot(film, `embed-${lang}`);
    assert(film.complaints.length === 0, film.complaints.join("\n"));
    await film.context().close();
    const live = await open(lang);
    await live.goto(`${base}/#/w/${worldOf(page)}?embed`);
    await testid(live, "scene").waitFor();
    assert((await live.locator("header, .side:visible").count()) === 0, "also of a world that runs");
    await live.context().close();
  });

  await check(`${lang}: a recording becomes a world again, chosen or dropped`, async () => {
    const gallery = await open(lang);
    await gallery.goto(`${base}/`);
    await testid(gallery, "open-recording").focus();
    await axe(gallery, "gallery");
    await testid(gallery, "open-recording").setInputFiles(recording);
    await testid(gallery, "container-log-saver").waitFor();
    const chosen = worldOf(gallery);
    assert(chosen && chosen !== worldOf(page), "a world of its own");
    await gallery.locator('[data-testid="world-state"][data-frozen="true"]').waitFor();
    const events = async (world) => (await (await fetch(`${base}/api/worlds/${world}`)).json()).events;
    assert((await events(chosen)) === (await events(worldOf(page))), "with all that had happened");
    // A recording ends with what happened last; the clock of a frozen world may stand a little after that.
    await eventually("it stands at its end", async () => Math.abs((await instant(gallery)) - (await instant(page))) < 1);
    await gallery.goto(`${base}/#/`);
    await testid(gallery, "open-recording").waitFor();
    const bytes = readFileSync(recording).toString("base64");
    const dropped = await gallery.evaluateHandle((b64) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(b64), (c) => c.charCodeAt(0))], "w1.plrec"));
      return data;
    }, bytes);
    await gallery.dispatchEvent("main", "dragover", { dataTransfer: dropped });
    await gallery.dispatchEvent("main", "drop", { dataTransfer: dropped });
    await testid(gallery, "container-log-saver").waitFor();
    assert(worldOf(gallery) !== chosen, "another one");
    assert(gallery.complaints.length === 0, gallery.complaints.join("\n"));
    await gallery.context().close();
  });

  await check(`${lang}: files that are no recording, of another version or cut are told in one message`, async () => {
    const gallery = await open(lang);
    await gallery.goto(`${base}/`);
    const whole = readFileSync(recording);
    const other = Buffer.from(whole);
    other[8] = 99;
    for (const [name, bytes, said] of [
      ["cat.gif", Buffer.from("GIF89a"), /PODLABRC/],
      ["other.plrec", other, /99/],
      ["cut.plrec", whole.subarray(0, 5000), /header/],
      ["empty.plrec", Buffer.alloc(0), /PODLABRC/],
    ]) {
      writeFileSync(join(dir, name), bytes);
      await testid(gallery, "open-recording").setInputFiles(join(dir, name));
      const trouble = testid(gallery, "open-trouble").filter({ hasText: name });
      await trouble.waitFor();
      assert(said.test(await trouble.textContent()), await trouble.textContent());
    }
    await axe(gallery, "refused");
    assert(gallery.complaints.every((c) => /status of 422/.test(c)), gallery.complaints.join("\n"));
    await gallery.context().close();
  });

  await check(`${lang}: the console stayed silent`, async () => {
    assert(page.complaints.length === 0, page.complaints.join("\n"));
  });
  await page.context().close();
}

rmSync(dir, { recursive: true, force: true });
await finish();
