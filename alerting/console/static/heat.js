// A heat map over its picture, on the scale of its model: grey values become colours, and the region level a contour.

// From dark to bright, so that it can be told without seeing colours.
const STOPS = [[0, 10, 30], [90, 20, 110], [200, 55, 70], [250, 160, 40], [255, 255, 190]];

function colour(value) {
  const place = value / 255 * (STOPS.length - 1);
  const low = Math.min(Math.floor(place), STOPS.length - 2);
  return STOPS[low].map((from, index) => from + (STOPS[low + 1][index] - from) * (place - low));
}

// What is far below the contour hides nothing.
const alpha = (value, contour) => Math.min(255, 255 * value / Math.max(1, contour));

function paint(canvas, values, contour) {
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  for (let place = 0; place < values.length; place += 1) {
    pixels.data.set([...colour(values[place]), alpha(values[place], contour)], 4 * place);
  }
  context.putImageData(pixels, 0, 0);
}

function grey(picture) {
  const canvas = document.createElement("canvas");
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height).data.filter((_, place) => place % 4 === 0);
}

// The line at `level` through values at the middles of a map's pixels, as a path in units of the picture: in each square
// of four neighbours it joins the edges that it crosses.
export function contourPath(values, columns, rows, level, width, height) {
  const at = (x, y) => values[Math.max(0, Math.min(rows - 1, y)) * columns + Math.max(0, Math.min(columns - 1, x))];
  const point = (x, y) => `${((x + 0.5) / columns * width).toFixed(1)} ${((y + 0.5) / rows * height).toFixed(1)}`;
  const share = (from, to) => (level - from) / (to - from);
  let path = "";
  for (let y = -1; y < rows; y += 1) {
    for (let x = -1; x < columns; x += 1) {
      const corners = [at(x, y), at(x + 1, y), at(x + 1, y + 1), at(x, y + 1)];
      const [a, b, c, d] = corners;
      const crossed = [];
      if (a < level !== b < level) crossed.push(point(x + share(a, b), y));
      if (b < level !== c < level) crossed.push(point(x + 1, y + share(b, c)));
      if (d < level !== c < level) crossed.push(point(x + share(d, c), y + 1));
      if (a < level !== d < level) crossed.push(point(x, y + share(a, d)));
      for (let first = 0; first + 1 < crossed.length; first += 2) path += `M${crossed[first]}L${crossed[first + 1]}`;
    }
  }
  return path;
}

async function show(canvas) {
  const picture = new Image();
  picture.src = canvas.dataset.src;
  await picture.decode();
  const contour = Number(canvas.dataset.contour);
  const values = grey(picture);
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  paint(canvas, values, contour);
  const marks = canvas.parentElement.querySelector(".marks");
  const { width, height } = marks.viewBox.baseVal;
  const path = contourPath(values, canvas.width, canvas.height, contour, width, height);
  for (const line of marks.querySelectorAll(".contour")) line.setAttribute("d", path);
  canvas.dataset.shown = "";
}

// Draws all heat maps and scales within `root`; one that is gone leaves its picture as it is.
export function showHeat(root) {
  for (const legend of root.querySelectorAll("canvas.legend")) {
    const values = Array.from({ length: legend.width * legend.height }, (_, place) => place % legend.width);
    paint(legend, values, Number(legend.dataset.contour));
  }
  for (const canvas of root.querySelectorAll("canvas.heat")) show(canvas).catch(() => canvas.remove());
}
