// Viewer of the cases: three planes of source, synthetic, truth and difference. Without JavaScript, or in a browser
// that cannot unpack the volumes, the static figures stay as they are.
(async () => {
  const { cases, limit, difference } = JSON.parse(document.getElementById("viewer-data").textContent || '{"cases":[]}');
  if (!cases.length || !window.DecompressionStream) return;

  const element = id => document.getElementById(id);
  const viewer = element("viewer");
  // In RAS volumes all planes run against their axes: the patient's right, anterior and superior come first.
  const PLANES = [
    { name: "Axial", across: 0, down: 1, along: 2, edges: "RLAP" },
    { name: "Coronal", across: 0, down: 2, along: 1, edges: "RLSI" },
    { name: "Sagittal", across: 1, down: 2, along: 0, edges: "APSI" },
  ];
  const POSITIVE = ["right", "anterior", "superior"], NEGATIVE = ["left", "posterior", "inferior"];
  const STEPS = {
    ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10, Home: -1e6, End: 1e6,
  };
  const KEYS = { s: "Source", g: "Synthetic", t: "Truth", d: difference };
  const state = {
    place: 0, method: null, image: "Synthetic", other: "Truth", preset: 0, range: 1, split: 50, at: [0, 0, 0],
  };
  let current = null; // the unpacked case
  let loading = 0;

  // ---- drawing ----------------------------------------------------------------------------------------------------

  const named = name => current.shown.find(image => image.name === name);
  const shown = name => named(name) || named("Synthetic");
  const swiped = () => state.other !== state.image && named(state.other) !== undefined;
  const bounds = () => [-limit / state.range, limit / state.range];
  const windowOf = image => (image.name === difference ? bounds() : image.windows[state.preset]);

  function index(position) {
    const [, ny, nz] = current.shape;
    return (position[0] * ny + position[1]) * nz + position[2];
  }

  function draw() {
    const left = shown(state.image), right = swiped() ? shown(state.other) : left;
    const ends = new Map([left, right].map(image => [image, windowOf(image)]));
    for (const plane of PLANES) {
      const width = current.shape[plane.across], height = current.shape[plane.down];
      const context = plane.canvas.getContext("2d"), pixels = context.createImageData(width, height);
      const boundary = swiped() ? Math.round((width * state.split) / 100) : width;
      const position = [...state.at];
      for (let v = 0, k = 0; v < height; v++) {
        position[plane.down] = height - 1 - v;
        for (let u = 0; u < width; u++, k += 4) {
          position[plane.across] = width - 1 - u;
          const image = u < boundary ? left : right;
          const [red, green, blue] = colour(image, ends.get(image), image.values[index(position)]);
          pixels.data[k] = red; pixels.data[k + 1] = green; pixels.data[k + 2] = blue; pixels.data[k + 3] = 255;
        }
      }
      context.putImageData(pixels, 0, 0);
      mark(plane, width, height, left, right);
    }
    describe(left, right);
  }

  const inside = (place, size) => Math.min(size - 1, Math.max(0, place));
  const percent = (place, size) => `${(100 * (size - 0.5 - place)) / size}%`;

  function mark(plane, width, height, left, right) {
    const { marks } = plane, slice = state.at[plane.along], count = current.shape[plane.along];
    marks.across.style.top = percent(state.at[plane.down], height);
    marks.down.style.left = percent(state.at[plane.across], width);
    marks.divider.hidden = !swiped();
    marks.divider.style.left = `calc(${state.split}% - 1px)`;
    marks.here.textContent = left.name;
    marks.there.textContent = swiped() ? right.name : "";
    const error = current.error_at;
    marks.ring.hidden = !error || error[plane.along] !== slice;
    if (error) {
      marks.ring.style.top = percent(error[plane.down], height);
      marks.ring.style.left = percent(error[plane.across], width);
    }
    plane.slider.value = slice;
    plane.count.textContent = `${slice + 1} of ${count}`;
    const swipe = swiped() ? `${left.name} on the left, ${right.name} on the right` : left.name;
    plane.canvas.setAttribute("aria-label", `${plane.name} plane, slice ${slice + 1} of ${count}: ${swipe}`);
  }

  function text(value) {
    const size = Math.abs(value);
    return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2).replace("-", "−");
  }

  function describe(left, right) {
    const image = left.name === difference || !swiped() ? left : right.signed ? right : left;
    const [low, high] = windowOf(image);
    element("low").textContent = text(low);
    element("high").textContent = `${text(high)} ${image.unit} (${image.name})`;
    const stops = image.signed ? RED_BLUE.map(rgb => `rgb(${rgb})`) : ["#000", "#fff"];
    element("bar").style.background = `linear-gradient(to right, ${stops})`;
    const values = current.shown.flatMap(one => {
      const value = one.values[index(state.at)];
      return Number.isNaN(value) ? [] : [`${one.name} ${text(value)} ${one.unit}`];
    });
    element("readout").textContent = `At the cross (${where()}): ${values.join(", ")}`;
    element("swiping").hidden = !swiped();
  }

  // Patient coordinates where the case has an affine, else voxels of the full resolution.
  function where() {
    const voxel = state.at.map((at, axis) => (at + 0.5) * current.steps[axis] - 0.5);
    if (!current.affine) return `voxel ${voxel.map(Math.round).join(", ")}`;
    const mm = current.affine.slice(0, 3).map(row => row[3] + voxel.reduce((sum, at, axis) => sum + row[axis] * at, 0));
    return mm.map((at, axis) => `${Math.abs(at).toFixed(0)} mm ${(at < 0 ? NEGATIVE : POSITIVE)[axis]}`).join(", ");
  }

  // ---- controls ---------------------------------------------------------------------------------------------------

  function options(select, names, chosen) {
    select.replaceChildren(...names.map(([value, label]) => new Option(label, value, false, value === String(chosen))));
  }

  function choices(box, names, chosen, choose) {
    box.replaceChildren(...names.map((name, number) => {
      const label = document.createElement("label"), input = document.createElement("input");
      Object.assign(input, { type: "radio", name: box.id, value: name, checked: number === chosen });
      input.addEventListener("change", () => choose(number));
      label.append(input, name);
      return label;
    }));
  }

  function makePlanes() {
    for (const plane of PLANES) {
      const figure = document.createElement("figure"), stage = document.createElement("div");
      const id = `slice-${plane.name.toLowerCase()}`;
      figure.className = "plane";
      Object.assign(stage, { className: "stage", tabIndex: 0 });
      stage.setAttribute("role", "group");
      stage.setAttribute("aria-label", `${plane.name} plane; arrow keys change the slice`);
      const sides = ["left", "right", "top", "bottom"];
      const edges = sides.map((side, k) => `<span class="edge-${side}">${plane.edges[k]}</span>`);
      const lines = ["across", "down", "ring", "divider"].map(name => `<i class="${name}"></i>`);
      const names = '<span class="here"></span><span class="there"></span>';
      stage.innerHTML = ['<canvas role="img"></canvas>', ...lines, ...edges, names].join("");
      figure.innerHTML = `<label for="${id}"><span>${plane.name}</span><span></span></label>
        <input type="range" id="${id}" min="0" step="1">`;
      figure.prepend(stage);
      plane.figure = figure;
      plane.stage = stage;
      plane.canvas = stage.querySelector("canvas");
      plane.slider = figure.querySelector("input");
      plane.count = figure.querySelectorAll("label span")[1];
      const marks = ["across", "down", "ring", "divider", "here", "there"];
      plane.marks = Object.fromEntries(marks.map(name => [name, stage.querySelector(`.${name}`)]));
      plane.slider.addEventListener("input", () => move(plane, Number(plane.slider.value)));
      pointers(plane);
    }
    element("planes").replaceChildren(...PLANES.map(plane => plane.figure));
  }

  // A press near the divider drags it; elsewhere it moves the other planes.
  function pointers(plane) {
    let dragging = null;
    const share = (event, box) => [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const follow = event => {
      const [x, y] = share(event, plane.stage.getBoundingClientRect());
      if (dragging === "divider") return swipeTo(100 * x);
      for (const [axis, part] of [[plane.across, x], [plane.down, y]]) {
        const size = current.shape[axis];
        state.at[axis] = inside(size - 1 - Math.floor(part * size), size);
      }
      draw();
    };
    plane.stage.addEventListener("pointerdown", event => {
      const box = plane.stage.getBoundingClientRect();
      const near = Math.abs(event.clientX - box.left - (box.width * state.split) / 100) < 12;
      dragging = swiped() && near ? "divider" : "cross";
      plane.stage.setPointerCapture(event.pointerId);
      follow(event);
    });
    plane.stage.addEventListener("pointermove", event => dragging && follow(event));
    for (const end of ["pointerup", "pointercancel"]) plane.stage.addEventListener(end, () => { dragging = null; });
    plane.stage.addEventListener("wheel", event => {
      if (document.activeElement !== plane.stage) return; // the page scrolls
      event.preventDefault();
      move(plane, state.at[plane.along] - Math.sign(event.deltaY));
    }, { passive: false });
    plane.stage.addEventListener("keydown", event => {
      if (!(event.key in STEPS) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      move(plane, state.at[plane.along] + STEPS[event.key]);
    });
  }

  function move(plane, slice) {
    state.at[plane.along] = inside(slice, current.shape[plane.along]);
    draw();
  }

  function swipeTo(split) {
    state.split = Math.min(100, Math.max(0, Math.round(split)));
    element("swipe").value = state.split;
    draw();
  }

  function jump() {
    if (!current.error_at) return;
    state.at = [...current.error_at];
    draw();
  }

  function showImage(name) {
    if (!current.shown.some(image => image.name === name)) return;
    state.image = name;
    check("images-shown", current.shown.indexOf(shown(name)));
    offerOthers();
    draw();
  }

  function showPreset(number) {
    if (number >= current.presets.length) return;
    state.preset = number;
    check("presets", number);
    draw();
  }

  function check(box, number) {
    element(box).querySelectorAll("input")[number].checked = true;
  }

  function offerOthers() {
    const names = current.shown.map(image => image.name).filter(name => name !== state.image);
    options(element("other"), [["", "none"], ...names.map(name => [name, name])], swiped() ? state.other : "");
  }

  function showMethod(method) {
    state.method = method;
    current.shown = withDifference(current, method, difference);
    state.image = shown(state.image).name;
    const names = current.shown.map(image => image.name);
    choices(element("images-shown"), names, names.indexOf(state.image), number => showImage(names[number]));
    offerOthers();
    draw();
  }

  // ---- cases ------------------------------------------------------------------------------------------------------

  async function showCase(place) {
    const ticket = ++loading;
    const found = await unpacked(cases[place]);
    if (ticket !== loading) return; // another case was chosen meanwhile
    current = found;
    state.place = place;
    const reduced = (at, axis) => Math.floor((at + 0.5) / found.steps[axis]);
    current.error_at = found.at && found.at.map((at, axis) => inside(reduced(at, axis), found.shape[axis]));
    state.at = current.error_at ? [...current.error_at] : found.shape.map(size => Math.floor(size / 2));
    state.preset = Math.min(state.preset, found.presets.length - 1);
    const size = found.shape.map((count, axis) => count * found.spacing[axis]);
    const columns = PLANES.map(plane => `minmax(0, ${size[plane.across].toFixed(1)}fr)`); // one scale for all planes
    element("planes").style.gridTemplateColumns = columns.join(" ");
    for (const plane of PLANES) {
      plane.canvas.width = found.shape[plane.across];
      plane.canvas.height = found.shape[plane.down];
      plane.stage.style.aspectRatio = `${size[plane.across]} / ${size[plane.down]}`;
      plane.slider.max = found.shape[plane.along] - 1;
    }
    const methods = found.images.filter(image => image.name === "Synthetic").map(image => image.method);
    const method = methods.includes(state.method) ? state.method : methods[0];
    options(element("method"), methods.map(name => [name, name]), method);
    element("methods").hidden = methods.length < 2;
    element("case").value = String(place);
    element("previous").disabled = place === 0;
    element("next").disabled = place === cases.length - 1;
    choices(element("presets"), found.presets, state.preset, showPreset);
    element("jump").hidden = !current.error_at;
    element("ranges").hidden = limit === null;
    const role = found.role && `${found.role[0].toUpperCase()}${found.role.slice(1)} case`;
    const voxels = `Voxels of ${found.spacing.map(step => step.toFixed(1)).join(" × ")} mm here`;
    const about = [role, found.score, found.error, ...found.warnings, voxels].filter(Boolean);
    element("about").textContent = about.map(sentence => `${sentence}.`).join(" ");
    showMethod(method);
  }

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const { key } = event;
    if (key >= "1" && key <= "4") showPreset(Number(key) - 1);
    else if (key in KEYS) showImage(KEYS[key]);
    else if (key === "e") jump();
    else if (key === "[" || key === "]") swipeTo(state.split + (key === "]" ? 5 : -5));
    else if (key === "n" && state.place < cases.length - 1) showCase(state.place + 1);
    else if (key === "p" && state.place > 0) showCase(state.place - 1);
    else return;
    event.preventDefault();
  }

  makePlanes();
  const titles = cases.map(one => [one.name, one.role && `(${one.role})`, one.score].filter(Boolean).join(" "));
  options(element("case"), titles.map((title, place) => [String(place), title]), 0);
  const { unit } = cases[0].images.find(image => image.name === "Synthetic");
  const ranges = [1, 2, 5].map(part => [String(part), `± ${text(limit / part)} ${unit}`]);
  options(element("range"), ranges, 1);
  element("case").addEventListener("change", event => showCase(Number(event.target.value)));
  element("previous").addEventListener("click", () => showCase(state.place - 1));
  element("next").addEventListener("click", () => showCase(state.place + 1));
  element("method").addEventListener("change", event => showMethod(event.target.value));
  element("other").addEventListener("change", event => { state.other = event.target.value; draw(); });
  element("range").addEventListener("change", event => { state.range = Number(event.target.value); draw(); });
  element("swipe").addEventListener("input", event => swipeTo(Number(event.target.value)));
  element("jump").addEventListener("click", jump);
  viewer.addEventListener("keydown", keys);
  if (!cases.some(one => one.images.some(image => image.name === "Truth"))) state.other = "Source";
  await showCase(0);
  viewer.hidden = false;
  element("figures").open = false;
})();
