// A workshop: joined by keyboard, a world of one's own, the instructor's board; in both languages.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, axe, check, eventually, finish, open, shot, testid, worldOf } from "./harness.mjs";

const podlab = process.env.PODLAB ?? join(dirname(fileURLToPath(import.meta.url)), "../../target/podlab");
const state = mkdtempSync(join(tmpdir(), "podlab-workshop-"));
const more = process.env.PAGE ? ["--page", process.env.PAGE] : [];
const server = spawn(podlab, ["workshop", "--port", "0", "--state", state, ...more], { stdio: ["ignore", "pipe", "inherit"] });
let [at, code, board] = ["", "", ""];
for await (const line of createInterface({ input: server.stdout })) {
  at ||= line.match(/^Learners open +(http:\S+)/)?.[1] ?? "";
  code ||= line.match(/^and type +(.+)$/)?.[1] ?? "";
  board ||= line.match(/(http:\S+key=\S+)/)?.[1] ?? "";
  if (at && code && board) break;
}
server.stdout.resume();

const words = { en: { wrong: "xxxxxx", next: "Part 2 of" }, ja: { wrong: "xxxxxx", next: "2/" } };
const instructor = await open("en");
await check("the instructor's link opens the board and leaves the address", async () => {
  await instructor.goto(board);
  await testid(instructor, "board").waitFor();
  assert(!instructor.url().includes("key="), instructor.url());
  await axe(instructor, "empty board");
});

let seat = 0;
for (const lang of ["en", "ja"]) {
  seat += 1;
  const page = await open(lang);
  let [world, word] = ["", ""];
  await check(`${lang}: a wrong code is refused in words, the right one opens a world, by keyboard alone`, async () => {
    await page.goto(`${at}/`);
    await testid(page, "join-code").waitFor();
    await axe(page, "join");
    await eventually("the code has the focus", () => page.evaluate(() => document.activeElement?.id === "join-code"));
    await page.keyboard.type(words[lang].wrong);
    await page.keyboard.press("Tab");
    await page.keyboard.type(`Learner ${lang}`);
    await page.keyboard.press("Enter");
    await eventually("it is refused", async () => (await testid(page, "join-trouble").textContent()).length > 0);
    page.complaints.length = 0; // The browser logs the refusal itself.
    await testid(page, "join-code").fill("");
    await page.keyboard.press("Tab");
    await testid(page, "join-code").focus();
    await page.keyboard.type(code.toLowerCase());
    await page.keyboard.press("Enter");
    await testid(page, "container-log-saver").waitFor();
    world = worldOf(page);
    word = (await testid(page, "recovery").textContent()).match(/[a-z]{4}-[a-z]{4}-[a-z]{4}/)?.[0] ?? "";
    assert(word, "a recovery word is told");
    await axe(page, "world in a workshop");
    await shot(page, `workshop-${lang}`);
    await testid(page, "noted").click();
  });

  await check(`${lang}: the board shows the learner, the hand, and opens the world`, async () => {
    await testid(page, "hand").focus();
    await page.keyboard.press("Enter");
    const row = testid(instructor, `seat-${seat}`);
    await eventually("the hand is seen", async () => (await row.getAttribute("class"))?.includes("raised"));
    assert((await row.textContent()).includes(`Learner ${lang}`), "the name");
    if (lang === "ja") await testid(instructor, "lang").click();
    await axe(instructor, `board with learners, ${lang}`);
    await shot(instructor, `board-${lang}`);
    await testid(instructor, `watch-${world}`).click();
    await testid(instructor, "container-log-saver").waitFor();
    assert(worldOf(instructor) === world, "the learner's world");
    await instructor.goBack();
    await testid(instructor, "board").waitFor();
  });

  await check(`${lang}: the next part reaches the learner, who answers; the board counts`, async () => {
    if (seat === 1) {
      await testid(instructor, "next").focus();
      await instructor.keyboard.press("Enter");
    }
    await eventually("the part", async () => (await testid(page, "part").textContent()).includes(words[lang].next));
    await testid(page, `answer-${seat}`).focus();
    await page.keyboard.press("Enter");
    await eventually("the board has counted", async () =>
      (await testid(instructor, "poll").locator("li").nth(seat - 1).textContent()).includes(`1 of ${seat}`) ||
      (await testid(instructor, "poll").locator("li").nth(seat - 1).textContent()).includes(`1/${seat}`));
    await testid(instructor, "say").fill(`look here ${at}/#/open?v=1&pattern=sidecar&seed=7&t=3`);
    await testid(instructor, "send").click();
    await eventually("the message", async () => (await testid(page, "message").textContent()).includes("look here"));
    assert(/^#\/open\?v=1&pattern=sidecar&seed=7&t=3$/.test(await testid(page, "moment").getAttribute("href")), "a moment to open");
  });

  await check(`${lang}: a reload keeps the place, and the word opens it in another browser`, async () => {
    await page.reload();
    await testid(page, "container-log-saver").waitFor();
    assert(worldOf(page) === world, "the same world");
    const other = await open(lang);
    await other.goto(`${at}/`);
    await testid(other, "return-open").click();
    await testid(other, "return-name").fill(`Learner ${lang}`);
    await testid(other, "return-word").fill(word);
    await other.keyboard.press("Enter");
    await testid(other, "container-log-saver").waitFor();
    assert(worldOf(other) === world, "the same world there");
    await other.context().close();
  });

  await check(`${lang}: the console stayed silent`, async () => {
    assert(page.complaints.length === 0, page.complaints.join("\n"));
  });
  await page.context().close();
}

await check("the wall shows address, code and QR code", async () => {
  await instructor.goto(`${at}/#/wall`);
  assert((await testid(instructor, "wall-code").textContent()) === code, "the code");
  await instructor.locator(".qr").waitFor();
  await axe(instructor, "wall");
  await shot(instructor, "wall");
});

server.kill("SIGTERM");
await new Promise((done) => (server.exitCode === null ? server.on("exit", done) : done()));
rmSync(state, { recursive: true, force: true });
await finish();
