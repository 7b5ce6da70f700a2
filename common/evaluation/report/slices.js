"use strict";
// Volumes that viewer.py packs, their difference, and the colours of their values.
const OUTSIDE_MASK = [226, 230, 234];
// From blue, below zero, to red, above, as in the static figures.
const RED_BLUE = [
  [5, 48, 97], [67, 147, 195], [209, 229, 240], [247, 247, 247], [253, 219, 199], [214, 96, 77], [103, 0, 31],
];

async function inflated(text) {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Levels from their differences to the mean of the three neighbours before; see packed() in volumes.py.
async function levels(text, [nx, ny, nz]) {
  const bytes = await inflated(text), size = nx * ny * nz, found = new Uint16Array(size);
  for (let x = 0, i = 0; x < nx; x++)
    for (let y = 0; y < ny; y++)
      for (let z = 0; z < nz; z++, i++) {
        const folded = bytes[i] | (bytes[size + i] << 8);
        const before = (x ? found[i - ny * nz] : 0) + (y ? found[i - nz] : 0) + (z ? found[i - 1] : 0);
        found[i] = Math.floor(before / 3) + (folded & 1 ? -(folded + 1) / 2 : folded / 2);
      }
  return found;
}

async function unpacked(data) {
  const mask = await levels(data.mask, data.shape);
  const images = await Promise.all(data.images.map(async image => {
    const steps = ([start, step, count]) => Array.from({ length: count }, (_, k) => start + step * k);
    const scale = image.scale.flatMap(steps), stored = await levels(image.data, data.shape);
    return { ...image, values: Float32Array.from(stored, level => scale[level]) };
  }));
  return { ...data, mask, images };
}

function withDifference(found, method, difference) {
  const images = found.images.filter(image => image.method === null || image.method === method);
  const [synthetic, truth] = ["Synthetic", "Truth"].map(name => images.find(image => image.name === name));
  if (!truth) return images;
  const values = synthetic.values.map((value, i) => (found.mask[i] ? value - truth.values[i] : NaN));
  images.splice(images.indexOf(truth) + 1, 0, { name: difference, method, unit: truth.unit, signed: true, values });
  return images;
}

function diverging(share) {
  const place = Math.min(Math.max(share, 0), 1) * (RED_BLUE.length - 1);
  const low = Math.min(Math.floor(place), RED_BLUE.length - 2);
  return RED_BLUE[low].map((from, k) => Math.round(from + (place - low) * (RED_BLUE[low + 1][k] - from)));
}

function colour(image, [low, high], value) {
  if (Number.isNaN(value)) return OUTSIDE_MASK;
  const share = (value - low) / (high - low);
  if (image.signed) return diverging(share);
  const grey = Math.round(255 * Math.min(Math.max(share, 0), 1));
  return [grey, grey, grey];
}
