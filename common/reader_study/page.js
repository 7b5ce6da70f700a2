"use strict";
// Shows the trials one after the other, keeps every answer at once, and gives all of them as CSV at the end.
(() => {
  const element = id => document.getElementById(id);
  const study = JSON.parse(element("study").textContent);
  const COLUMNS = ["study", "page", "reader", "position", "trial", "answer", "confidence", "seconds", "answered"];
  const MOST_ENLARGED = 6; // small patches stay small, since interpolation only blurs them
  const ARROWS = { ArrowLeft: 0, ArrowRight: 1 };
  const pair = study.trials[0].images.length === 2;
  let reader = null, answers = [];
  let choice = null, sure = null, since = null; // of the trial that is shown; since: when its images appeared

  // ---- memory -----------------------------------------------------------------------------------------------------

  const place = () => `reading ${study.study} ${study.page} ${reader}`;

  function remembers() {
    try {
      localStorage.setItem("reading", "1");
      localStorage.removeItem("reading");
      return true;
    } catch {
      return false;
    }
  }

  const kept = remembers();

  function keep() {
    if (kept) localStorage.setItem(place(), JSON.stringify(answers));
  }

  function recalled() {
    const found = JSON.parse((kept && localStorage.getItem(place())) || "[]");
    return found.every((answer, k) => study.trials[k] && answer.trial === study.trials[k].trial) ? found : [];
  }

  // ---- showing ----------------------------------------------------------------------------------------------------

  function show(name) {
    for (const id of ["start", "reading", "end"]) element(id).hidden = id !== name;
  }

  function buttons(box, labels, chosen, choose) {
    box.replaceChildren(...labels.map((label, k) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(Object.assign(document.createElement("kbd"), { textContent: k + 1 }), ` ${label}`);
      button.setAttribute("aria-pressed", k === chosen);
      button.addEventListener("click", () => { choose(k); button.blur(); });
      return button;
    }));
  }

  function draw() {
    buttons(element("choices"), study.choices, choice, choose);
    const asked = study.confidence.length > 0 && choice !== null;
    element("confidence").style.visibility = asked ? "visible" : "hidden"; // takes its place all the same: images stay
    buttons(element("confidence"), study.confidence.map(confidenceLabel), sure, rate);
    const ready = choice !== null && (!study.confidence.length || sure !== null);
    element("keys").textContent = ready ? "Space confirms" : asked ? "How confident are you?" : "";
  }

  const confidenceLabel = (_, k) => k === 0 ? "guess" : k === study.confidence.length - 1 ? "certain" : "";

  async function next() {
    const done = answers.length, total = study.trials.length;
    if (done === total) return finish();
    const trial = study.trials[done];
    choice = sure = since = null;
    element("reading").setAttribute("aria-busy", "true");
    element("progress").textContent = `${done + 1} of ${total}`;
    element("bar").firstElementChild.style.width = `${(100 * done) / total}%`;
    const share = 100 / trial.images.length - (pair ? 1 : 0);
    const images = trial.images.map((source, k) => {
      const image = new Image();
      image.alt = pair ? study.choices[k] : "";
      image.style.aspectRatio = trial.aspect;
      image.src = source;
      return image;
    });
    await Promise.all(images.map(image => image.decode()));
    for (const image of images)
      image.style.width = `min(${share}cqw, ${100 * trial.aspect}cqh, ${MOST_ENLARGED * image.naturalWidth}px)`;
    element("images").replaceChildren(...images);
    draw();
    requestAnimationFrame(() => {
      since = performance.now();
      element("reading").setAttribute("aria-busy", "false");
    });
  }

  function finish() {
    const quoted = value => /[",\n\r]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
    const named = /^'*[=+\-@]/.test(reader) ? `'${reader}` : reader; // which no spreadsheet computes
    const rows = answers.map((answer, k) => COLUMNS.map(name => quoted(
      { study: study.study, page: study.page, reader: named, position: k + 1, ...answer }[name])).join(","));
    const text = [COLUMNS.join(","), ...rows, ""].join("\n");
    const link = element("save");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = `answers_${study.study}_${reader.replace(/[^\p{L}\p{N}_-]+/gu, "_")}.csv`;
    show("end");
    link.focus();
  }

  // ---- answering --------------------------------------------------------------------------------------------------

  function choose(k) {
    if (since === null) return; // the images are not shown yet
    choice = k;
    draw();
  }

  function rate(k) {
    sure = k;
    draw();
  }

  function confirm() {
    if (since === null || choice === null || (study.confidence.length && sure === null)) return;
    answers.push({
      trial: study.trials[answers.length].trial,
      answer: study.choices[choice],
      confidence: sure === null ? "" : study.confidence[sure],
      seconds: ((performance.now() - since) / 1000).toFixed(3),
      answered: new Date().toISOString(),
    });
    since = null;
    keep();
    next();
  }

  function press(event) {
    if (element("reading").hidden || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const number = pair && event.key in ARROWS ? ARROWS[event.key] : /^[1-9]$/.test(event.key) ? event.key - 1 : null;
    const rating = study.confidence.length > 0 && choice !== null && !(event.key in ARROWS);
    if (event.key === " " || event.key === "Enter") confirm();
    else if (event.key === "Backspace" && rating) { choice = sure = null; draw(); }
    else if (number === null) return;
    else if (rating) { if (number < study.confidence.length) rate(number); }
    else if (number < study.choices.length) choose(number);
    event.preventDefault();
  }

  element("memory").hidden = kept;
  element("enter").addEventListener("submit", event => {
    event.preventDefault();
    reader = element("reader").value.trim();
    if (!reader) return;
    answers = recalled();
    show("reading");
    document.activeElement.blur();
    next();
  });
  document.addEventListener("keydown", press);
  show("start");
  element("reader").focus();
})();
