// Unpacks what stands in this file and starts the page with it. Nothing is fetched.
const unpack = async (id) => {
  const element = document.getElementById(id);
  const bytes = Uint8Array.from(atob(element.textContent), (c) => c.charCodeAt(0));
  element.remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};
try {
  const about = document.getElementById("podlab-about").textContent;
  globalThis.podlabRecording = { about, film: await unpack("podlab-film") };
  await __wbg_init({ module_or_path: await unpack("podlab-program") });
} catch (error) {
  const place = document.querySelector(".boot");
  if (place) {
    place.setAttribute("role", "alert");
    place.textContent = `Podlab could not start: ${error.message}. The file needs a browser of 2023 or later with WebAssembly, and all of its bytes. / Podlab を開始できません。2023 年以降の WebAssembly 対応ブラウザーで、欠けのないファイルを開いてください。`;
  }
  throw error;
}
