"use strict";

const byId = (id) => document.getElementById(id);
const VOLUME = /\.(nii|nii\.gz|nrrd|mha|mhd|nhdr|hdr|img|zip)$/i;
const WINDOWS = { brain: [0, 80], soft: [-160, 240], bone: [-500, 1500], lung: [-1350, 150] }; // in HU
const STATES = { queued: "waiting", running: "running", done: "done", refused: "refused", failed: "failed", cancelled: "cancelled" };
const ENDED = ["done", "refused", "failed", "cancelled"];

let scans = []; // lists of files, a scan each
let states = new Map(); // of the cases, by id
let shown = null; // id of the case whose result is shown
let views = null; // the two viewers
let loading = Promise.resolve(); // of the images of one case after another

function element(tag, text, properties = {}) {
  const made = document.createElement(tag);
  made.textContent = text ?? "";
  return Object.assign(made, properties);
}

async function ask(path, options) {
  const answer = await fetch(path, options);
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(typeof said.detail === "string" ? said.detail : `the server answered ${answer.status}`);
  }
  return answer.status === 204 ? null : answer.json();
}

// Scans

function choose(files) {
  const volumes = files.filter((file) => VOLUME.test(file.name)).map((file) => [file]);
  const slices = files.filter((file) => !VOLUME.test(file.name) && !file.name.startsWith("."));
  scans = slices.length ? [...volumes, slices] : volumes;
  listScans();
  byId("fault").textContent = "";
}

const nameOf = (scan) => (scan.length > 1 ? `${scan.length} DICOM files` : scan[0].name);

function listScans() {
  byId("selected").textContent = scans.length ? scans.map(nameOf).join(", ") : "No scan chosen.";
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile) found.push(await new Promise((take, fail) => entry.file(take, fail)));
    else {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((take, fail) => reader.readEntries(take, fail));
        if (!some.length) return;
        for (const each of some) await walk(each);
      }
    }
  };
  for (const entry of entries) await walk(entry);
  return found;
}

async function start(event) {
  event.preventDefault();
  byId("fault").textContent = "";
  const bundle = document.querySelector("input[name=bundle]:checked");
  if (!scans.length || !bundle) {
    byId("fault").textContent = scans.length ? "Choose a bundle." : "Choose a scan.";
    return;
  }
  byId("start").disabled = true;
  try {
    for (const scan of scans) {
      byId("selected").textContent = `Uploading ${nameOf(scan)}`;
      const form = new FormData();
      form.append("bundle", bundle.value);
      for (const name of ["device", "output_format", "settings"]) form.append(name, byId(name).value);
      for (const name of ["uncertainty", "refuse"]) form.append(name, String(byId(name).checked));
      for (const file of scan) form.append("file", file, file.webkitRelativePath || file.name);
      await ask("/cases", { method: "POST", body: form });
      scans = scans.filter((each) => each !== scan); // so that none is sent twice if a later one fails
    }
    byId("file").value = byId("folder").value = "";
  } catch (error) {
    byId("fault").textContent = error.message;
  } finally {
    listScans();
    byId("start").disabled = false;
  }
}

async function listBundles() {
  for (const bundle of await ask("/bundles")) {
    const row = element("div", "", { className: bundle.unusable ? "bundle unusable" : "bundle" });
    const label = element("label");
    const radio = element("input", "", { type: "radio", name: "bundle", value: bundle.name, disabled: Boolean(bundle.unusable) });
    label.append(radio, ` ${bundle.name}: ${bundle.task}`);
    const about = element("small", bundle.unusable ?? [bundle.network, bundle.error].filter(Boolean).join(". "));
    about.id = `about-${bundle.name}`;
    radio.setAttribute("aria-describedby", about.id);
    row.append(label, about);
    if (bundle.unusable) byId("unusable").append(row);
    else byId("unusable").before(row);
  }
  const usable = document.querySelectorAll("input[name=bundle]:enabled");
  if (usable.length === 1) usable[0].checked = true; // of several none: a scan does not say what is wanted of it
}

// The list of cases

function seconds(count) {
  return count < 90 ? `${Math.round(count)} s` : `${Math.round(count / 60)} min`;
}

function stageOf(state) {
  const share = state.share === null ? "" : `, ${Math.round(100 * state.share)} %`;
  const left = state.seconds_left === null ? "" : `, ${seconds(state.seconds_left)} left`;
  return `${state.stage}${share}${left}`;
}

function row(state) {
  const item = element("li");
  item.dataset.id = state.id;
  item.append(element("p", "", { className: "name" }), element("p", "", { className: "stage" }), element("progress", "", { max: 1 }));
  const buttons = element("p");
  const act = (text, work) => {
    const button = element("button", text, { type: "button" });
    button.addEventListener("click", () => work().catch((error) => { byId("fault").textContent = error.message; }));
    buttons.append(button, " ");
    return button;
  };
  act("Show", async () => show(state.id, true)).className = "show";
  const then = (asked, next) => asked.then(() => next.focus()); // the button that was pressed goes away
  act("Cancel", () => then(ask(`/cases/${state.id}/cancel`, { method: "POST" }), item.querySelector(".remove"))).className = "cancel";
  act("Remove", () => then(ask(`/cases/${state.id}`, { method: "DELETE" }), byId("cases-title"))).className = "remove";
  item.append(buttons);
  return item;
}

function update(listed) {
  const before = states;
  states = new Map(listed.map((state) => [state.id, state]));
  const list = byId("cases");
  for (const item of [...list.children]) if (!states.has(item.dataset.id)) item.remove();
  for (const state of listed) {
    let item = list.querySelector(`[data-id="${state.id}"]`);
    if (!item) list.append((item = row(state)));
    const name = `${state.name}, ${state.bundle}: ${STATES[state.status]}`;
    item.querySelector(".name").textContent = name;
    const stage = item.querySelector(".stage");
    stage.className = state.status === "failed" ? "stage failed" : "stage";
    stage.textContent = state.status === "running" ? stageOf(state) : state.status === "done" ? `in ${seconds(state.seconds)}` : state.message;
    const bar = item.querySelector("progress");
    bar.hidden = state.status !== "running";
    if (state.share === null) bar.removeAttribute("value");
    else bar.value = state.share;
    bar.setAttribute("aria-label", state.stage);
    item.querySelector(".show").hidden = !["done", "refused"].includes(state.status);
    item.querySelector(".cancel").hidden = ENDED.includes(state.status);
    item.setAttribute("aria-current", String(state.id === shown));
    const was = before.get(state.id)?.status;
    if (was !== state.status && (was || ENDED.includes(state.status))) {
      byId("news").textContent = name;
      if (was && !shown && ["done", "refused"].includes(state.status)) show(state.id, false);
    }
  }
  byId("none").hidden = listed.length > 0;
  if (shown && !states.has(shown)) {
    shown = null;
    byId("result").hidden = true;
  }
}

function follow() {
  const events = new EventSource("/events");
  events.onmessage = (event) => update(JSON.parse(event.data));
  events.onopen = () => { byId("lost").textContent = ""; };
  events.onerror = () => { byId("lost").textContent = "The server does not answer. Once it runs again, open the address that it prints."; };
}

// The result

async function show(id, focused) {
  const state = states.get(id);
  shown = id;
  for (const item of byId("cases").children) item.setAttribute("aria-current", String(item.dataset.id === id));
  delete byId("views").dataset.shown; // hides the images of another case
  byId("values").textContent = "";
  byId("result").hidden = false;
  byId("result-title").textContent = `Result of ${state.name}`;
  if (focused) byId("result-title").focus();
  const verdict = byId("verdict");
  const quality = state.quality ?? {};
  verdict.className = quality.verdict ?? "";
  verdict.replaceChildren();
  if (quality.verdict) {
    const expected = quality.expected_mae === undefined ? "" : `, expected error ${quality.expected_mae.toFixed(0)} ${quality.unit}, at most ${quality.upper_mae.toFixed(0)} in ${100 * quality.case_level} % of scans (${quality.calibrated_on})`;
    verdict.append(element("p", `Verdict: ${quality.verdict}${expected}`, { className: "headline" }));
  } else verdict.append(element("p", "No verdict: the weights have no calibration."));
  for (const reason of new Set([...(quality.reasons ?? []), ...state.warnings])) verdict.append(element("p", reason));
  const links = byId("downloads");
  links.replaceChildren();
  for (const format of state.results) {
    const names = { nifti: "NIfTI", dicom: "DICOM (zip)", json: "JSON" };
    links.append(element("a", `Download ${names[format]}`, { href: `/cases/${id}/result?format=${format}`, download: "" }), " ");
  }
  const ready = state.volumes.includes("synthetic") && state.volumes.includes("source");
  for (const part of ["controls", "views", "values"]) byId(part).hidden = !ready;
  byId("map-control").hidden = !state.volumes.includes("uncertainty");
  byId("map").checked = false;
  if (ready) await (loading = loading.then(() => shown === id && view(state)));
}

async function attached() {
  const made = [];
  for (const id of ["source", "synthetic"]) {
    const viewer = new niivue.Niivue({ backColor: [0, 0, 0, 1], crosshairWidth: 0.5, show3Dcrosshair: true, multiplanarShowRender: niivue.SHOW_RENDER.NEVER, dragAndDropEnabled: false, logLevel: "error" });
    await viewer.attachToCanvas(byId(id));
    made.push(viewer);
    byId(id).addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] };
      if (!steps[event.key] || !viewer.volumes.length) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      viewer.moveCrosshairInVox(...steps[event.key]);
    }, true);
  }
  const [source, synthetic] = made;
  source.broadcastTo([synthetic], { "2d": true, "3d": true });
  synthetic.broadcastTo([source], { "2d": true, "3d": true });
  source.onLocationChange = (place) => {
    const unit = states.get(shown)?.unit ?? "";
    const [from, to] = place.values;
    const at = [...place.mm].slice(0, 3).map((mm) => mm.toFixed(1)).join(", ");
    if (from && to) byId("values").textContent = `${at} mm: source ${from.value.toFixed(1)}, synthetic ${to.value.toFixed(1)} ${unit}`;
  };
  return made;
}

async function view(state) {
  const at = (name) => ({ url: `/cases/${state.id}/volumes/${name}.nii.gz`, name: `${name}.nii.gz` });
  try {
    views ??= await attached();
    const [source, synthetic] = views;
    await source.loadVolumes([at("source"), { ...at("synthetic"), opacity: 0 }]);
    const maps = state.volumes.includes("uncertainty") ? [{ ...at("uncertainty"), colormap: "hot", opacity: 0 }] : [];
    await synthetic.loadVolumes([at("synthetic"), ...maps]);
    byId("window").value = state.unit === "HU" ? "soft" : "auto";
    for (const option of byId("window").options) option.disabled = option.value !== "auto" && state.unit !== "HU";
    arrange();
    window.dispatchEvent(new Event("resize"));
    if (shown === state.id) byId("views").dataset.shown = state.id;
  } catch (error) {
    byId("values").textContent = `The images cannot be shown (${error.message}); the downloads are complete.`;
  }
}

function arrange() {
  const [source, synthetic] = views;
  const over = byId("layout").value === "over";
  byId("views").className = over ? "over" : "both";
  byId("share-control").hidden = !over;
  byId("left").firstElementChild.textContent = over ? "Source, and over it the synthetic image, not for clinical use" : "Source";
  const planes = { multi: "sliceTypeMultiplanar", axial: "sliceTypeAxial", coronal: "sliceTypeCoronal", sagittal: "sliceTypeSagittal", render: "sliceTypeRender" };
  for (const viewer of views) viewer.setSliceType(viewer[planes[byId("plane").value]]);
  for (const volume of [source.volumes[1], synthetic.volumes[0]]) {
    const [low, high] = WINDOWS[byId("window").value] ?? [volume.robust_min, volume.robust_max];
    volume.cal_min = low;
    volume.cal_max = high;
  }
  source.setOpacity(1, over ? byId("share").value / 100 : 0);
  if (synthetic.volumes[1]) synthetic.setOpacity(1, byId("map").checked ? 0.6 : 0);
  for (const viewer of views) viewer.updateGLVolume();
}

byId("file").addEventListener("change", (event) => choose([...event.target.files]));
byId("folder").addEventListener("change", (event) => choose([...event.target.files]));
byId("form").addEventListener("submit", start);
for (const id of ["layout", "plane", "window", "share", "map"]) byId(id).addEventListener("input", () => byId("views").dataset.shown && arrange());
byId("layout").addEventListener("change", () => window.dispatchEvent(new Event("resize")));
document.addEventListener("dragover", (event) => { event.preventDefault(); byId("drop").classList.add("over"); });
document.addEventListener("dragleave", () => byId("drop").classList.remove("over"));
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  byId("drop").classList.remove("over");
  try {
    choose(await dropped(event.dataTransfer));
  } catch (error) { // a file that the browser may not read
    byId("fault").textContent = error.message;
  }
});
listBundles().catch((error) => { byId("fault").textContent = error.message; });
follow();
