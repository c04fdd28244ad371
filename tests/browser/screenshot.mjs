// Takes docs/sidecar.png, or the file that is named: the sidecar world in English, light,
// 1440x900, frozen at an instant at which a request, a response and a file are under way.
//
//   npm run screenshot [FILE]
import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { browser, container, eventually, instant, lookAt, marks, pause, start, testid } from "./harness.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const file = process.argv[2] ?? process.env.SCREENSHOT ?? join(here, "../../docs/sidecar.png");
const most = 300 * 1024;

const page = await start("en", { colorScheme: "light" });
await container(page, "web", "up");
await eventually("web serves", async () => (await testid(page, "strip").locator("button", { hasText: "200 OK" }).count()) > 0);
await eventually("fifteen seconds", async () => (await instant(page)) > 15);
// The same world is the same at the same instant on every machine; so is its picture.
await testid(page, "play").click();
await page.locator('[data-testid="world-state"][data-frozen="true"]').waitFor();
await pause(2000);
// The busiest instant of a second: that is where most can be seen.
let best = [0, 0];
for (let ms = 12_000; ms < 13_500; ms += 30) {
  await lookAt(page, ms);
  const { count } = await marks(page);
  if (count > best[1]) best = [ms, count];
}
await lookAt(page, best[0]);
// A world that has come so far and no further, so that nothing in the picture depends on when
// this one was frozen.
await testid(page, "fork").click();
await page.locator('[data-testid="view-state"][data-view="live"]').waitFor();
await eventually("the marks are back", async () => (await marks(page)).count > best[1] / 2);
await page.mouse.move(2, 890);
await page.screenshot({ path: file });
await browser.close();
const { size } = statSync(file);
console.log(`ok - ${file}: ${best[0]} ms, ${Math.ceil(size / 1024)} KiB`);
if (size > most) {
  console.log(`not ok - at most ${most / 1024} KiB`);
  process.exit(1);
}
