// What the instructor does beyond leading: in learners' worlds, on the wall, on all screens; and what a full room does.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, axe, check, eventually, finish, lookAt, open, shot, testid, worldOf } from "./harness.mjs";

const podlab = process.env.PODLAB ?? join(dirname(fileURLToPath(import.meta.url)), "../../target/podlab");
const state = mkdtempSync(join(tmpdir(), "podlab-board-"));
const more = process.env.PAGE ? ["--page", process.env.PAGE] : [];
const server = spawn(podlab, ["workshop", "--port", "0", "--learners", "2", "--state", state, ...more], { stdio: ["ignore", "pipe", "inherit"] });
let [at, code, board] = ["", "", ""];
for await (const line of createInterface({ input: server.stdout })) {
  at ||= line.match(/^Learners open +(https?:\S+)/)?.[1] ?? "";
  code ||= line.match(/^and type +(.+)$/)?.[1] ?? "";
  board ||= line.match(/(https?:\S+key=\S+)/)?.[1] ?? "";
  if (at && code && board) break;
}
server.stdout.resume();

const joins = async (page, name) => {
  await page.goto(`${at}/`);
  await testid(page, "join-code").fill(code);
  await testid(page, "join-name").fill(name);
  await testid(page, "join").click();
};
// By keyboard: the element takes the focus and is pressed.
const press = async (page, id) => {
  await testid(page, id).focus();
  await page.keyboard.press("Enter");
};
const frozen = (page, is) => page.locator(`[data-testid="world-state"][data-frozen="${is}"]`).waitFor();
const sizes = [["wide", 1440, 900], ["middle", 1024, 768], ["narrow", 390, 844]];
const shots = async (page, name) => {
  for (const [size, width, height] of process.env.SHOTS ? sizes : []) {
    await page.setViewportSize({ width, height });
    await shot(page, `${name}-${size}`);
  }
  await page.setViewportSize({ width: 1440, height: 900 });
};

const instructor = await open("en");
await instructor.goto(board);
await testid(instructor, "board").waitFor();
const [anna, ben] = [await open("en"), await open("ja")];
for (const [page, name] of [[anna, "Anna"], [ben, "ベン"]]) {
  await joins(page, name);
  await testid(page, "container-log-saver").waitFor();
  await testid(page, "noted").click();
}
const [annas, bens] = [worldOf(anna), worldOf(ben)];

await check("without an invitation the instructor watches, and acting is refused in words", async () => {
  await testid(instructor, `watch-${annas}`).click();
  await testid(instructor, "container-log-saver").waitFor();
  await instructor.locator('[data-testid="helm"][data-driven="false"]').waitFor();
  assert(await testid(instructor, "drive").count() === 0, "there is nothing to take over");
  await testid(instructor, "play").click();
  await eventually("it is refused", async () => (await instructor.textContent("main")).includes("you do not act in it"));
  await frozen(instructor, false);
  instructor.complaints.length = 0; // The browser logs the refusal itself.
  await axe(instructor, "watching");
});

await check("on invitation the instructor drives, the learner sees it, and takes the world back", async () => {
  await press(anna, "invite");
  await testid(instructor, "drive").waitFor();
  await press(instructor, "drive");
  await testid(anna, "driven").waitFor();
  await testid(instructor, "play").click();
  await frozen(anna, true);
  await testid(anna, "play").click();
  await eventually("the learner looks on", async () => (await anna.textContent("main")).includes("the instructor acts in your world"));
  anna.complaints.length = 0;
  await axe(anna, "driven");
  await shots(anna, "driven");
  await shots(instructor, "driving");
  await press(anna, "take-back");
  await testid(anna, "driven").waitFor({ state: "detached" });
  await instructor.locator('[data-testid="helm"][data-driven="false"]').waitFor();
  await testid(anna, "play").click();
  await frozen(anna, false);
});

await check("a raised hand invites as well, from the board, and the instructor hands back (ja)", async () => {
  await press(ben, "hand");
  await instructor.goto(`${at}/#/board`);
  await testid(instructor, "drive-2").waitFor();
  await shots(instructor, "board-hand");
  await press(instructor, "drive-2");
  await instructor.locator('[data-testid="helm"][data-driven="true"]').waitFor();
  assert(worldOf(instructor) === bens, "in that learner's world");
  await testid(ben, "driven").waitFor();
  await axe(ben, "driven, ja");
  await shots(ben, "driven-ja");
  await press(instructor, "drive");
  await testid(ben, "driven").waitFor({ state: "detached" });
  assert(await testid(ben, "hand").getAttribute("aria-pressed") === "false", "the hand is down");
});

await check("a learner's world is on the wall, live, and leaves it", async () => {
  const wall = await open("en");
  await wall.context().addCookies(await instructor.context().cookies());
  await wall.goto(`${at}/#/wall`);
  await testid(wall, "wall-code").waitFor();
  await instructor.goto(`${at}/#/board`);
  await press(instructor, `project-${annas}`);
  await testid(wall, "wall-world").waitFor();
  assert((await testid(wall, "wall-world").textContent()).includes("Anna"), "whose it is");
  await testid(wall, "container-log-saver").waitFor();
  await axe(wall, "a world on the wall");
  await shots(wall, "wall-world");
  await press(instructor, `project-${annas}`);
  await testid(wall, "wall-code").waitFor();
  // Without the name.
  await testid(instructor, "named").click();
  await press(instructor, `project-${annas}`);
  await testid(wall, "wall-world").waitFor();
  assert(!(await testid(wall, "wall-world").textContent()).includes("Anna"), "not whose it is");
  await press(wall, "off-wall");
  await testid(wall, "wall-code").waitFor();
  assert(wall.complaints.length === 0, wall.complaints.join("\n"));
  await wall.context().close();
});

await check("a moment is on all screens, apart from everybody's own world, and one button goes back", async () => {
  await testid(instructor, `watch-${annas}`).click();
  await testid(instructor, "container-log-saver").waitFor();
  await lookAt(instructor, 2500);
  await testid(instructor, "container-log-saver").click();
  await press(instructor, "show-moment");
  await testid(ben, "moment-shown").waitFor();
  await axe(ben, "a moment is announced");
  await shots(ben, "moment-shown-ja");
  await press(ben, "moment-look");
  await testid(ben, "moment-here").waitFor();
  await testid(ben, "container-log-saver").waitFor();
  const copy = worldOf(ben);
  assert(copy !== bens && copy !== annas, `a world of nobody: ${copy}`);
  await eventually("the instant and the selection", async () =>
    (await testid(ben, "instant").textContent()).startsWith("2.5") && ben.url().includes("what=container:default/web/log-saver"));
  await axe(ben, "a moment");
  await shots(ben, "moment-ja");
  await press(ben, "moment-back");
  await testid(ben, "container-log-saver").waitFor();
  await eventually("the own world again", () => worldOf(ben) === bens);
  // Who still looks when it ends is back as well.
  await press(anna, "moment-look");
  await testid(anna, "moment-here").waitFor();
  await press(instructor, "end-moment");
  await eventually("back by itself", () => worldOf(anna) === annas);
});

await check("a hint reaches everybody, a solution one learner, in their exercise", async () => {
  await instructor.goto(`${at}/#/board`);
  await eventually("a part with an exercise", async () => {
    if (await testid(instructor, "give-all").count()) return true;
    await testid(instructor, "next").click();
    await instructor.waitForTimeout(300);
  });
  await testid(instructor, "give-all").locator('[data-testid="give-hint-1"]').click();
  for (const page of [anna, ben]) await testid(page, "gift").waitFor();
  await axe(ben, "a hint, ja");
  await shots(ben, "hint-ja");
  await press(anna, "gift-open");
  await testid(anna, "hints").locator("li").first().waitFor();
  assert(await testid(anna, "hints").locator("li").count() === 1, "one hint is open");
  const row = testid(instructor, "seat-1");
  await row.locator("summary").click();
  await row.locator('[data-testid="give-solution"]').click();
  await anna.locator(".exercise pre.diff").first().waitFor();
  await shots(anna, "solution");
  await testid(ben, "gift-close").click();
  await instructor.waitForTimeout(500);
  assert(await testid(ben, "gift").count() === 0, "the other learner got none");
});

await check("kubectl has an address of its own, which reaches this world without a cookie", async () => {
  await press(ben, "kubectl");
  const line = await testid(ben, "kubectl-line").textContent();
  const path = line.match(/--server=(\S+)/)[1];
  const pods = await fetch(`${path}/api/v1/namespaces/default/pods`).then((r) => r.json());
  assert(pods.kind === "PodList" && pods.items.length > 0, JSON.stringify(pods).slice(0, 200));
  const other = await fetch(path.replace(`/${bens}/`, `/${annas}/`) + "/version");
  assert(other.status === 401, `another's world: ${other.status}`);
  await axe(ben, "kubectl");
  await shots(ben, "kubectl-ja");
});

await check("in a full room one waits, sees the place, and the seat comes by itself", async () => {
  const cem = await open("ja");
  await joins(cem, "ジェム");
  await eventually("the place", async () => (await testid(cem, "queue-place").textContent()).includes("1"));
  await axe(cem, "queue, ja");
  await shots(cem, "queue-ja");
  await cem.reload();
  await testid(cem, "queue-place").waitFor();
  await eventually("the board shows who waits", async () =>
    (await testid(instructor, "queue").count()) && (await testid(instructor, "queue").textContent()).includes("ジェム"));
  await axe(instructor, "board with a queue");
  await shots(instructor, "board-queue");
  instructor.on("dialog", (dialog) => dialog.accept());
  await testid(instructor, "seat-1").locator("button.danger").click();
  await testid(cem, "container-log-saver").waitFor();
  await testid(cem, "recovery").waitFor();
  await cem.context().close();
});

await check("the consoles stayed silent", async () => {
  for (const page of [instructor, ben]) assert(page.complaints.length === 0, page.complaints.join("\n"));
});

server.kill("SIGTERM");
await new Promise((done) => (server.exitCode === null ? server.on("exit", done) : done()));
rmSync(state, { recursive: true, force: true });
await finish();
