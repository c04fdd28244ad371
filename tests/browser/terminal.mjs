// kubectl, typed on the page: what comes back, completion, history, stopping, pasting.
//
//   BASE_URL=http://127.0.0.1:PORT CHROMIUM=/usr/bin/chromium node terminal.mjs
import { assert, axe, check, container, eventually, finish, shot, start, testid } from "./harness.mjs";

for (const lang of ["en", "ja"]) {
  const page = await start(lang);
  await container(page, "web", "up");
  const line = testid(page, "terminal-line");
  const output = () => testid(page, "terminal-output").innerText();
  const shows = (what, text) => eventually(what, async () => (await output()).includes(text));
  const run = async (text) => {
    await line.fill(text);
    await line.press("Enter");
  };
  const idle = () => eventually("the command ends", async () => (await testid(page, "terminal-stop").count()) === 0);

  await check(`${lang}: the terminal answers as kubectl does`, async () => {
    await testid(page, "tab-terminal").click();
    await eventually("it is connected", async () => (await testid(page, "terminal-connect").count()) === 0);
    await run("kubectl get pods -o name | sort");
    await shows("pods", "pod/client\npod/log-store\npod/origin\npod/web");
    await idle();
    await run("k get foo");
    await shows("an error", `error: the server doesn't have a resource type "foo"`);
    await idle();
    await run("kubectl get pods | wc -l");
    await shows("a count", "\n5\n");
    await idle();
    const said = await testid(page, "terminal-status").textContent();
    assert(said.includes("5"), `a screen reader is told: ${said}`);
    await axe(page, `terminal ${lang}`);
    await shot(page, `terminal-${lang}`);
  });

  await check(`${lang}: Tab completes, arrows go back and forth`, async () => {
    await line.fill("kubectl describe po");
    await line.press("Tab");
    await eventually("a kind", async () => (await line.inputValue()).startsWith("kubectl describe po"));
    await line.fill("kubectl logs log-s");
    await line.press("Tab");
    await eventually("a name", async () => (await line.inputValue()) === "kubectl logs log-store ");
    await line.fill("");
    await line.press("ArrowUp");
    assert((await line.inputValue()) === "kubectl get pods | wc -l", "the last line");
    await line.press("ArrowUp");
    assert((await line.inputValue()) === "k get foo", "the one before");
    await line.press("ArrowDown");
    await line.press("ArrowDown");
    assert((await line.inputValue()) === "", "what was typed");
  });

  await check(`${lang}: attach follows what a program writes from now on, until Ctrl-C`, async () => {
    await line.press("Control+l");
    await run("kubectl attach web -c content-puller");
    await eventually("a line of the program", async () => (await output()).split("\n").some((l) => /event=/.test(l)));
    await line.press("Control+c");
    await idle();
    await run("kubectl attach nobody");
    await shows("an error", 'pods "nobody" not found');
    await idle();
  });

  await check(`${lang}: a manifest is pasted, watched, and stopped with Ctrl-C`, async () => {
    await line.press("Control+l");
    await run("kubectl get configmaps -w");
    await shows("the watch", "kube-root-ca.crt");
    await line.press("Control+c");
    await idle();
    await line.fill("kubectl apply -f - <<EOF\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: pasted}\ndata: {a: b}\nEOF");
    await line.press("Enter");
    await shows("what was applied", "configmap/pasted created");
    await idle();
    await run("kubectl delete configmap pasted && kubectl get configmap pasted");
    await shows("what was deleted", `configmap "pasted" deleted`);
    await shows("and is gone", `Error from server (NotFound): configmaps "pasted" not found`);
    await idle();
  });

  await check(`${lang}: a program of a container runs and is stopped`, async () => {
    await run("kubectl exec web -c web -- ls /");
    await shows("its files", "srv");
    await idle();
    await run("kubectl logs client -f");
    await eventually("it runs", async () => (await testid(page, "terminal-stop").count()) === 1);
    await testid(page, "terminal-stop").click();
    await idle();
    // What was written is still there after looking at something else.
    await testid(page, "tab-logs").click();
    await testid(page, "tab-terminal").click();
    assert((await output()).includes("srv"), "the output is kept");
  });
  await page.context().close();
}

await finish();
