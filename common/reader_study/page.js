"use strict";
// Shows the trials one after the other, keeps every answer at once, and gives all of them as CSV at the end.
(() => {
  const element = id => document.getElementById(id);
  const study = JSON.parse(element("study").textContent);
  const COLUMNS = ["study", "reader", "position", "answer", "seconds", "answered"];
  const MOST_ENLARGED = 6; // small patches stay small, since interpolation only blurs them
  const buttons = [...element("choices").children];
  let reader = null, answers = [];
  let choice = null, since = null; // of the trial that is shown; since: when its images appeared

  function show(name) {
    for (const id of ["start", "reading", "end"]) element(id).hidden = id !== name;
  }

  function choose(k) {
    choice = k;
    buttons.forEach((button, number) => button.setAttribute("aria-pressed", number === k));
  }

  async function next() {
    if (answers.length === study.trials.length) return finish();
    const { aspect, images: sources } = study.trials[answers.length];
    since = null;
    choose(null);
    element("reading").setAttribute("aria-busy", "true");
    element("progress").textContent = `${answers.length + 1} of ${study.trials.length}`;
    const images = sources.map(source => Object.assign(new Image(), { alt: "", src: source }));
    await Promise.all(images.map(image => image.decode()));
    for (const image of images) {
      image.style.aspectRatio = aspect;
      image.style.width = `min(${98 / images.length}cqw, ${100 * aspect}cqh, ${MOST_ENLARGED * image.naturalWidth}px)`;
    }
    element("images").replaceChildren(...images);
    requestAnimationFrame(() => {
      since = performance.now();
      element("reading").setAttribute("aria-busy", "false");
    });
  }

  function confirm() {
    if (choice === null) return;
    const seconds = ((performance.now() - since) / 1000).toFixed(3);
    answers.push({ answer: study.choices[choice], seconds, answered: new Date().toISOString() });
    try { localStorage.setItem(study.study + reader, JSON.stringify(answers)); } catch { /* kept until it is closed */ }
    next();
  }

  function finish() {
    const rows = answers.map((answer, k) => ({ study: study.study, reader, position: k + 1, ...answer }));
    const lines = rows.map(row => COLUMNS.map(name => `"${String(row[name]).replaceAll('"', '""')}"`).join(","));
    const link = element("save");
    link.href = URL.createObjectURL(new Blob([[COLUMNS.join(","), ...lines, ""].join("\n")], { type: "text/csv" }));
    link.download = `answers_${study.study}_${reader.replaceAll(" ", "_")}.csv`;
    show("end");
    link.focus();
  }

  function press(key) {
    if (since === null) return; // the images are not shown yet
    if (key === " " || key === "Enter") confirm();
    else if (buttons[key - 1]) choose(key - 1);
  }

  buttons.forEach((button, k) => button.addEventListener("click", () => { press(k + 1); button.blur(); }));
  document.addEventListener("keydown", event => {
    if (element("reading").hidden || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    press(event.key);
    if (event.key === " " || event.key === "Enter") event.preventDefault();
  });
  element("enter").addEventListener("submit", event => {
    event.preventDefault();
    reader = element("reader").value.trim();
    try { answers = JSON.parse(localStorage.getItem(study.study + reader)) || []; } catch { answers = []; }
    show("reading");
    document.activeElement.blur();
    next();
  });
})();
