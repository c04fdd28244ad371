// Starts the page. A file of its own, so that the content policy can forbid inline scripts.
import init from "/podlab.js";

try {
  await init({ module_or_path: "/podlab_bg.wasm" });
} catch (error) {
  const place = document.querySelector(".boot");
  if (place) {
    place.setAttribute("role", "alert");
    place.textContent = `Podlab could not start: ${error.message}. Reload the page; it needs a browser with WebAssembly. / Podlab を開始できません。再読み込みしてください。`;
  }
  throw error;
}
