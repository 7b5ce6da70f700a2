"use strict";

const byId = (id) => document.getElementById(id);
const VOLUME = /\.(nii|nii\.gz|nrrd|mha|mgz|mhd|nhdr|hdr|img|zip)$/i;
const WINDOWS = { brain: [0, 80], soft: [-160, 240], bone: [-500, 1500], lung: [-1350, 150] }; // in HU
const LEAST_HU = -300; // below it are the 2nd percentiles of CT alone
const PLANES = ["sagittal", "coronal", "axial"];
const STATES = { reading: "reading", ready: "ready", queued: "waiting", running: "running", done: "done", refused: "refused", failed: "failed", cancelled: "cancelled" };
const ENDED = ["done", "refused", "failed", "cancelled"];

const uploaded = new Set(); // ids of the cases that this page has uploaded
let states = new Map(); // of the cases, by id
let shown = null; // id of the case that is shown
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

async function choose(files) {
  const volumes = files.filter((file) => VOLUME.test(file.name)).map((file) => [file]);
  const slices = files.filter((file) => !VOLUME.test(file.name) && !file.name.startsWith("."));
  const scans = slices.length ? [...volumes, slices] : volumes;
  byId("fault").textContent = "";
  byId("start").disabled = true;
  try {
    for (const scan of scans) {
      byId("selected").textContent = `Reading ${scan.length > 1 ? `${scan.length} DICOM files` : scan[0].name}`;
      const form = new FormData();
      for (const file of scan) form.append("file", file, file.webkitRelativePath || file.name);
      const state = await ask("/cases", { method: "POST", body: form });
      uploaded.add(state.id);
      update([...states.values()].filter((each) => each.id !== state.id).concat(state)); // before the event comes
      if (scan === scans[0]) show(state.id, false);
    }
  } catch (error) {
    byId("fault").textContent = error.message;
  } finally {
    byId("file").value = byId("folder").value = "";
    byId("start").disabled = false;
    listReady();
  }
}

// Those that Start starts: a scan that another page has uploaded only where it is shown
const ready = () => [...states.values()].filter((each) => each.status === "ready" && (uploaded.has(each.id) || each.id === shown));

function listReady() {
  if (!byId("start").disabled) byId("selected").textContent = ready().map((each) => each.name).join(", ") || "No scan chosen.";
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
  const bundle = document.querySelector("input[name=bundle]:checked");
  const fault = !ready().length ? "Choose a scan." : bundle ? "" : "Choose a bundle.";
  byId("fault").textContent = fault;
  if (fault) return;
  const form = new FormData();
  form.append("bundle", bundle.value);
  for (const name of ["device", "settings"]) form.append(name, byId(name).value);
  for (const name of ["uncertainty", "refuse"]) form.append(name, String(byId(name).checked));
  try {
    for (const each of ready()) await ask(`/cases/${each.id}/start`, { method: "POST", body: form });
  } catch (error) {
    byId("fault").textContent = error.message;
  }
}

async function listDevices() {
  for (const name of (await ask("/devices")).slice(1)) byId("device").append(element("option", name));
}

async function listBundles() {
  for (const bundle of await ask("/bundles")) {
    const row = element("div", "", { className: bundle.unusable ? "bundle unusable" : "bundle" });
    const label = element("label");
    const radio = element("input", "", { type: "radio", name: "bundle", value: bundle.name, disabled: Boolean(bundle.unusable) });
    label.append(radio, ` ${bundle.name}: ${bundle.task}`);
    const about = element("small", bundle.unusable ?? bundle.weights);
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
    const name = `${[state.name, state.bundle].filter(Boolean).join(", ")}: ${STATES[state.status]}`;
    item.querySelector(".name").textContent = name;
    const stage = item.querySelector(".stage");
    stage.className = state.status === "failed" ? "stage failed" : "stage";
    stage.textContent = state.status === "running" ? stageOf(state) : state.status === "done" ? `in ${seconds(state.seconds)}` : state.message;
    const bar = item.querySelector("progress");
    bar.hidden = state.status !== "running";
    if (state.share === null) bar.removeAttribute("value");
    else bar.value = state.share;
    bar.setAttribute("aria-label", state.stage);
    item.querySelector(".show").hidden = !state.volumes.length && !["done", "refused"].includes(state.status);
    item.querySelector(".cancel").hidden = !["queued", "running"].includes(state.status);
    item.setAttribute("aria-current", String(state.id === shown));
    const was = before.get(state.id)?.status;
    if (was !== state.status && (was || ENDED.includes(state.status))) {
      byId("news").textContent = name;
      if (was && (!shown || shown === state.id) && ["done", "refused"].includes(state.status)) show(state.id, false);
    }
  }
  byId("none").hidden = listed.length > 0;
  listReady();
  if (shown && !states.has(shown)) {
    shown = null;
    byId("result").hidden = true;
    delete byId("views").dataset.shown;
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
  const ended = ["done", "refused"].includes(state.status);
  byId("result-title").textContent = ended ? `Result of ${state.name}` : state.name;
  listReady();
  if (focused) byId("result-title").focus();
  const verdict = byId("verdict");
  const quality = state.quality ?? {};
  verdict.hidden = !ended;
  verdict.className = quality.verdict ?? "";
  verdict.replaceChildren();
  if (quality.verdict) {
    const expected = quality.calibration_mae === undefined ? "" : `, error of the calibration ${quality.calibration_mae.toFixed(0)} ${quality.unit}, at most ${quality.upper_mae.toFixed(0)} in ${100 * quality.case_level} % of cases like those of the calibration, ${quality.calibrated_on}`;
    verdict.append(element("p", `Verdict: ${quality.verdict}${expected}`, { className: "headline" }));
  } else verdict.append(element("p", "No verdict: the weights have no calibration."));
  for (const reason of new Set([...(quality.reasons ?? []), ...state.warnings])) verdict.append(element("p", reason));
  const links = byId("downloads");
  links.replaceChildren();
  for (const format of state.results) {
    const names = { nifti: "NIfTI", dicom: "DICOM (zip)", json: "JSON" };
    const link = element("a", `Download ${names[format]}`, { href: `/cases/${id}/result?format=${format}`, download: "" });
    if (format === "dicom") link.addEventListener("click", (event) => asDicom(event, link));
    links.append(link, " ");
  }
  const viewable = state.volumes.includes("source");
  for (const part of ["controls", "views", "values"]) byId(part).hidden = !viewable;
  byId("region").hidden = true;
  byId("map-control").hidden = !state.volumes.includes("uncertainty");
  byId("map").checked = false;
  if (viewable) await (loading = loading.then(() => shown === id && view(state)));
}

async function asDicom(event, link) { // is written first, which may fail
  if (link.written) return;
  event.preventDefault();
  const text = link.textContent;
  link.textContent = "Writing DICOM";
  try {
    const answer = await fetch(link.href);
    if (!answer.ok) throw new Error((await answer.json()).detail);
    await answer.body.cancel();
    link.written = true;
    link.click();
  } catch (error) {
    byId("fault").textContent = error.message;
  } finally {
    link.textContent = text;
  }
}

// The views

const NAMES = ["source", "synthetic"]; // of the two views
const present = () => NAMES.slice(0, views[0].volumes.length); // of those with an image
const unitOf = (viewer) => (viewer === views[1] ? states.get(shown)?.unit : isCt(viewer.volumes[0], "") ? "HU" : "") ?? "";
const isCt = (volume, unit) => unit === "HU" || volume.robust_min <= LEAST_HU;

async function attached() {
  const made = [];
  for (const id of NAMES) {
    const viewer = new niivue.Niivue({ backColor: [0, 0, 0, 1], show3Dcrosshair: true, crosshairWidthUnit: "mm", multiplanarShowRender: niivue.SHOW_RENDER.NEVER, dragAndDropEnabled: false, logLevel: "error" });
    const canvas = byId(id);
    await viewer.attachToCanvas(canvas);
    viewer.setDrawOpacity(0.3);
    made.push(viewer);
    canvas.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] };
      if (!steps[event.key] || !viewer.volumes.length) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      viewer.moveCrosshairInVox(...steps[event.key]);
    }, true);
    canvas.addEventListener("mousedown", (event) => {
      if (event.button === 2 || (event.button === 0 && byId("mouse").value === "window")) dragWindow(event, viewer);
      else if (viewer.opts.drawingEnabled) viewer.createEmptyDrawing(); // one region at a time
    }, true);
    for (const name of ["wheel", "mouseup"]) canvas.addEventListener(name, () => thinCross(viewer));
    viewer.onIntensityChange = showWindows;
    viewer.onDrawingChanged = () => showRegion(viewer);
  }
  const [source, synthetic] = made;
  synthetic.broadcastTo([source], { "2d": true, "3d": true });
  source.onLocationChange = (place) => {
    if (!source.volumes.length) return;
    const unit = states.get(shown)?.unit ?? "";
    const [from, to] = place.values;
    const at = [...place.mm].slice(0, 3).map((mm) => mm.toFixed(1)).join(", ");
    const slices = [2, 1, 0].map((axis) => `${PLANES[axis]} ${place.vox[axis] + 1} of ${source.volumes[0].dimsRAS[axis + 1]}`).join(", ");
    byId("values").textContent = `${at} mm: source ${from.value.toFixed(1)}${to ? `, synthetic ${to.value.toFixed(1)} ${unit}` : ""}; ${slices}`;
  };
  return made;
}

async function view(state) {
  const at = (name) => ({ url: `/cases/${state.id}/volumes/${name}.nii.gz`, name: `${name}.nii.gz` });
  const has = (name) => state.volumes.includes(name);
  try {
    views ??= await attached();
    const [source, synthetic] = views;
    for (const viewer of views) if (viewer.drawBitmap) viewer.closeDrawing();
    await source.loadVolumes([at("source"), ...(has("synthetic") ? [{ ...at("synthetic"), opacity: 0 }] : [])]);
    const maps = has("uncertainty") ? [{ ...at("uncertainty"), colormap: "hot", opacity: 0 }] : [];
    source.broadcastTo(has("synthetic") ? [synthetic] : [], { "2d": true, "3d": true }); // a view without a volume throws
    if (has("synthetic")) await synthetic.loadVolumes([at("synthetic"), ...maps]);
    for (const name of present()) {
      const ct = isCt(volumesOf(name)[0], name === "synthetic" ? state.unit : "");
      for (const option of byId(`${name}-window`).options) option.disabled = option.value in WINDOWS && !ct;
      byId(`${name}-window`).value = ct ? "soft" : "auto";
    }
    for (const name of present()) preset(name);
    arrange();
    window.dispatchEvent(new Event("resize"));
    source.createOnLocationChange();
    if (shown === state.id) byId("views").dataset.shown = state.id;
  } catch (error) {
    byId("values").textContent = `The images cannot be shown (${error.message})${has("synthetic") ? "; the downloads are complete" : ""}.`;
  }
}

function arrange() {
  const [source, synthetic] = views;
  const alone = source.volumes.length < 2;
  const over = byId("layout").value === "over" && !alone;
  byId("views").className = over || alone ? "over" : "both";
  byId("share-control").hidden = !over;
  byId("synthetic-control").hidden = byId("layout-control").hidden = alone;
  byId("left").firstElementChild.textContent = over ? "Source, and over it the synthetic image, not for clinical use" : "Source";
  const planes = { multi: "sliceTypeMultiplanar", axial: "sliceTypeAxial", coronal: "sliceTypeCoronal", sagittal: "sliceTypeSagittal", render: "sliceTypeRender" };
  const pens = { rectangle: niivue.PEN_TYPE.RECTANGLE, ellipse: niivue.PEN_TYPE.ELLIPSE };
  const pen = pens[byId("mouse").value];
  for (const viewer of views.filter((each) => each.volumes.length)) {
    viewer.setSliceType(viewer[planes[byId("plane").value]]);
    viewer.setDrawingEnabled(pen !== undefined);
    viewer.opts.penType = pen ?? niivue.PEN_TYPE.PEN;
  }
  if (!alone) source.volumes[1].opacity = over ? byId("share").value / 100 : 0;
  if (synthetic.volumes[1]) synthetic.volumes[1].opacity = byId("map").checked ? 0.6 : 0;
  draw();
  views.forEach(thinCross);
}

function draw() {
  for (const viewer of views) if (viewer.volumes.length) viewer.updateGLVolume();
}

function thinCross(viewer) { // a little over a pixel wide at any zoom, since thinner lines have gaps
  const tile = viewer.screenSlices.find((each) => each.axCorSag < 3);
  if (tile?.leftTopWidthHeight[2] > 0) viewer.setCrosshairWidth(1.2 * Math.abs(tile.fovMM[0] / tile.leftTopWidthHeight[2]));
}

// Windows

const volumesOf = (name) => (name === "source" ? [views[0].volumes[0]] : [views[1].volumes[0], views[0].volumes[1]].filter(Boolean));

function setWindow(name, low, high) {
  for (const volume of volumesOf(name)) [volume.cal_min, volume.cal_max] = [low, high];
}

function showWindows() {
  for (const name of present()) {
    const { cal_min: low, cal_max: high } = volumesOf(name)[0];
    byId(`${name}-level`).value = Number(((low + high) / 2).toPrecision(4));
    byId(`${name}-width`).value = Number((high - low).toPrecision(4));
  }
}

function preset(name) {
  const [volume] = volumesOf(name);
  const { value } = byId(`${name}-window`);
  setWindow(name, ...(WINDOWS[value] ?? (value === "full" ? [volume.global_min, volume.global_max] : [volume.robust_min, volume.robust_max])));
  showWindows();
}

function typed(name) {
  const [level, width] = ["level", "width"].map((part) => Number(byId(`${name}-${part}`).value));
  if (!(width > 0)) return;
  byId(`${name}-window`).value = "own";
  setWindow(name, level - width / 2, level + width / 2);
  draw();
}

function dragWindow(event, viewer) { // to the right wider, upwards brighter; 200 pixels are a width
  event.preventDefault();
  event.stopImmediatePropagation();
  event.target.focus();
  const name = NAMES[views.indexOf(viewer)];
  const { cal_min: low, cal_max: high } = volumesOf(name)[0];
  const step = (high - low) / 200;
  const follow = (move) => {
    const level = (low + high) / 2 + (move.clientY - event.clientY) * step;
    const width = Math.max(high - low + (move.clientX - event.clientX) * step, step);
    byId(`${name}-window`).value = "own";
    setWindow(name, level - width / 2, level + width / 2);
    showWindows();
    viewer.updateGLVolume();
  };
  window.addEventListener("mousemove", follow);
  window.addEventListener("mouseup", () => window.removeEventListener("mousemove", follow), { once: true });
}

// A region that is drawn in one image, measured in both

function showRegion(viewer) {
  const sides = viewer.volumes[0].dimsRAS.slice(1, 4);
  const drawn = viewer.drawBitmap;
  const low = [...sides], high = [-1, -1, -1];
  drawn.forEach((value, index) => {
    if (!value) return;
    const at = [index % sides[0], Math.floor(index / sides[0]) % sides[1], Math.floor(index / sides[0] / sides[1])];
    at.forEach((each, axis) => { low[axis] = Math.min(low[axis], each); high[axis] = Math.max(high[axis], each); });
  });
  byId("region").replaceChildren();
  byId("region").hidden = high[0] < 0;
  if (high[0] < 0) return;
  const inside = []; // in the order of the box that both volumes are read in
  for (let z = low[2]; z <= high[2]; z++) for (let y = low[1]; y <= high[1]; y++) for (let x = low[0]; x <= high[0]; x++) inside.push(drawn[x + sides[0] * (y + sides[1] * z)] > 0);
  const extent = low.map((each, axis) => high[axis] - each + 1).join(" x ");
  byId("region").append(element("p", `Region: ${inside.filter(Boolean).length} voxels within ${extent}`));
  for (const each of views.slice(0, present().length)) {
    if (each !== viewer) {
      each.createEmptyDrawing();
      each.drawBitmap.set(drawn);
      each.refreshDrawing(true);
    }
    const values = each.volumes[0].getVolumeData(low, high, "scaled")[0].filter((_, index) => inside[index]);
    byId("region").append(...measured(NAMES[views.indexOf(each)], values, unitOf(each)));
  }
}

function measured(name, values, unit) {
  const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / values.length);
  const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  const bins = new Array(32).fill(0);
  for (const each of values) bins[Math.min(31, Math.floor(32 * (each - low) / (high - low || 1)))]++;
  const most = Math.max(...bins);
  const text = `${name}: mean ${mean.toFixed(1)}, SD ${deviation.toFixed(1)}, ${low.toFixed(1)} to ${high.toFixed(1)} ${unit}`.trim();
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 32 10", preserveAspectRatio: "none", role: "img", "aria-label": `Histogram of the ${name}` })) drawing.setAttribute(key, value);
  bins.forEach((bin, index) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of Object.entries({ x: index, y: 10 - 10 * bin / most, width: 1, height: 10 * bin / most })) bar.setAttribute(key, value);
    drawing.append(bar);
  });
  return [element("p", text, { className: name }), drawing];
}

byId("file").addEventListener("change", (event) => choose([...event.target.files]));
byId("folder").addEventListener("change", (event) => choose([...event.target.files]));
byId("form").addEventListener("submit", start);
for (const id of ["layout", "plane", "mouse", "share", "map"]) byId(id).addEventListener("input", () => byId("views").dataset.shown && arrange());
byId("layout").addEventListener("change", () => window.dispatchEvent(new Event("resize")));
for (const name of NAMES) {
  byId(`${name}-window`).addEventListener("input", () => {
    preset(name);
    draw();
  });
  for (const part of ["level", "width"]) byId(`${name}-${part}`).addEventListener("input", () => typed(name));
}
window.addEventListener("resize", () => views?.forEach(thinCross));
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
for (const list of [listBundles, listDevices]) list().catch((error) => { byId("fault").textContent = error.message; });
follow();
