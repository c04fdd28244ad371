// Starts Podlab on a free port and walks the page in a real browser (all in `every`).
// PODLAB is the binary, CHROMIUM the browser, PODLAB_PAGE a folder with another page than the binary's,
// PODLAB_PATTERNS one with other patterns. Ends with "# pass N" and "# fail N".
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, dirname } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const podlab = process.env.PODLAB ?? join(here, "../../target/podlab");
const state = mkdtempSync(join(tmpdir(), "podlab-browser-"));

const port = await new Promise((resolve) => {
  const probe = createServer().listen(0, "127.0.0.1", () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});
const server = spawn(podlab, ["up", "--no-open", "--port", String(port), "--state", state, ...(process.env.PODLAB_PAGE ? ["--page", process.env.PODLAB_PAGE] : []),
  ...(process.env.PODLAB_PATTERNS ? ["--patterns", process.env.PODLAB_PATTERNS] : [])], {
  stdio: ["ignore", "inherit", "inherit"],
});
let gone = false;
server.on("exit", () => (gone = true));

const base = `http://127.0.0.1:${port}`;
const until = Date.now() + 30_000;
for (;;) {
  const up = await fetch(`${base}/healthz`).then((r) => r.ok, () => false);
  if (up) break;
  if (gone || Date.now() > until) {
    console.error("podlab did not start");
    process.exit(1);
  }
  await new Promise((r) => setTimeout(r, 100));
}

const every = ["page.mjs", "practice.mjs", "workshop.mjs", "workshop-board.mjs", "views.mjs", "looks.mjs", "loss.mjs", "terminal.mjs", "time.mjs", "tour.mjs", "link.mjs", "predict.mjs", "share.mjs", "charts.mjs", "inspect.mjs", "compare.mjs"];
// Walks may be named on the command line.
const walks = process.argv.slice(2).length ? process.argv.slice(2) : every;
let [text, code] = ["", 0];
for (const walk of walks) {
  const run = spawn(process.execPath, [join(here, walk)], {
    env: { ...process.env, BASE_URL: base },
    stdio: ["ignore", "pipe", "inherit"],
  });
  run.stdout.on("data", (d) => {
    text += d;
    process.stdout.write(d);
  });
  // Every walk is walked, whatever came of the one before.
  const result = await new Promise((r) => run.on("close", r));
  code ||= result;
}
server.kill("SIGTERM");
rmSync(state, { recursive: true, force: true });
const count = (re) => text.split("\n").filter((l) => re.test(l)).length;
const [pass, fail] = [count(/^ok /), count(/^not ok /)];
console.log(`# pass ${pass}`);
console.log(`# fail ${fail}`);
process.exit(code === 0 && fail === 0 && pass > 0 ? 0 : 1);
