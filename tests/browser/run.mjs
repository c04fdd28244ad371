// Walks the page in a real browser (all in `every`), each walk on a Podlab of its own: worlds that one
// walk has left behind take no time from the next.
// PODLAB is the binary, CHROMIUM the browser, PODLAB_PAGE a folder with another page than the binary's,
// PODLAB_PATTERNS one with other patterns. Ends with "# pass N" and "# fail N".
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, dirname } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const podlab = process.env.PODLAB ?? join(here, "../../target/podlab");
const more = [
  ...(process.env.PODLAB_PAGE ? ["--page", process.env.PODLAB_PAGE] : []),
  ...(process.env.PODLAB_PATTERNS ? ["--patterns", process.env.PODLAB_PATTERNS] : []),
];

/** Starts a server on a free port: its address, and what ends it. */
async function serve() {
  const state = mkdtempSync(join(tmpdir(), "podlab-browser-"));
  const server = spawn(podlab, ["up", "--no-open", "--port", "0", "--state", state, ...more], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => server.on("close", resolve));
  const lines = createInterface({ input: server.stdout });
  const base = await new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      const found = line.match(/^Podlab is at (\S+?)\/?$/);
      if (found) resolve(found[1]);
    });
    ended.then((code) => reject(new Error(`podlab did not start: it ended with ${code}`)));
    server.on("error", reject);
  });
  const stop = async () => {
    server.kill("SIGTERM");
    await ended;
    rmSync(state, { recursive: true, force: true });
  };
  return { base, stop };
}

const every = ["page.mjs", "practice.mjs", "workshop.mjs", "workshop-board.mjs", "views.mjs", "looks.mjs", "loss.mjs", "terminal.mjs", "time.mjs", "tour.mjs", "link.mjs", "predict.mjs", "share.mjs", "charts.mjs", "inspect.mjs", "compare.mjs"];
// Walks may be named on the command line.
const walks = process.argv.slice(2).length ? process.argv.slice(2) : every;
let [text, code] = ["", 0];
for (const walk of walks) {
  const began = Date.now();
  const { base, stop } = await serve();
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
  await stop();
  console.log(`# ${walk}: ${((Date.now() - began) / 1000).toFixed(0)} s`);
}
const count = (re) => text.split("\n").filter((l) => re.test(l)).length;
const [pass, fail] = [count(/^ok /), count(/^not ok /)];
console.log(`# pass ${pass}`);
console.log(`# fail ${fail}`);
process.exit(code === 0 && fail === 0 && pass > 0 ? 0 : 1);
