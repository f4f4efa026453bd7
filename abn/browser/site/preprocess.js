// From a picture's pixels to the network's input, as `AbnImageProcessor` does it, number for number: the plan of resize
// and crop, the antialiased bilinear resize of whole numbers, the normalisation.
//
// Pairs are [rows, columns], as in the library.

const MULTIPLE = 32; // the network halves a picture five times
const LONGEST = 3; // of "whole": the long side is at most this many times the short one
const MOST_PRECISION = 22; // bits of a resize's whole-numbered weights
const MOST_WEIGHT = 1 << 15;

// As Python rounds: halves to the even number.
export function round(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

/**
 * What a picture of [height, width] goes through: {picture, resized, offset, crop}, `Geometry`'s fields.
 *
 * size: {shortest_edge} or {height, width}, null for none; crop: {height, width} or null: the processor's.
 */
export function planOf(picture, view, { size, crop }) {
  if (view === 'whole') {
    const resized = wholeSize(picture, shortSide(crop || size, picture));
    return { picture, resized, offset: [0, 0], crop: resized };
  }
  const resized = size ? resizedTo(picture, size) : picture;
  const cut = crop ? [crop.height, crop.width] : resized;
  return { picture, resized, offset: resized.map((length, axis) => cropStart(length, cut[axis])), crop: cut };
}

function cropStart(length, crop) {
  return crop > length ? -Math.floor((crop - length) / 2) : Math.trunc((length - crop) / 2);
}

function resizedTo(picture, size) {
  if (size.height && size.width) return [size.height, size.width];
  const short = Math.min(...picture), edge = size.shortest_edge;
  return picture.map((side) => (side === short ? edge : Math.max(1, Math.trunc((edge * side) / short))));
}

function shortSide(size, picture) {
  if (!size) return Math.min(...picture);
  return size.shortest_edge || Math.min(size.height, size.width);
}

function wholeSize(picture, wanted) {
  const short = Math.max(MULTIPLE, round(wanted / MULTIPLE) * MULTIPLE);
  const scale = short / Math.min(...picture);
  return picture.map((side) => Math.max(MULTIPLE, round(Math.min(side * scale, LONGEST * short) / MULTIPLE) * MULTIPLE));
}

/** A processor under which "whole" has a shorter side of so many pixels. */
export const smaller = (processor, side) => ({ ...processor, crop: { height: side, width: side } });

/** {box, span, size}: where a map lies in the picture, as the stage takes it. */
export function placeOf({ picture, resized, offset, crop }) {
  const span = picture.map((p, axis) => {
    const [r, start, c] = [resized[axis], offset[axis], crop[axis]];
    return [(start * p) / r, ((start + c) * p) / r];
  });
  const [[top, bottom], [left, right]] = span.map(([start, stop], axis) => {
    const length = picture[axis];
    const first = Math.min(Math.max(round(start), 0), length - 1);
    return [first, Math.max(Math.min(round(stop), length), first + 1)];
  });
  return { box: [left, top, right, bottom], span, size: [picture[1], picture[0]] };
}

// For each of `to` pixels: where its weights begin among `from` pixels, how many there are, and the weights as whole
// numbers of `precision` bits: a triangle as wide as the pixel is (Pillow's and PyTorch's antialiased filter).
function weightsOf(from, to) {
  const scale = from / to, support = Math.max(scale, 1), inverse = 1 / support;
  const first = new Int32Array(to), count = new Int32Array(to), most = 2 * Math.ceil(support) + 1;
  const exact = new Float64Array(to * most);
  let largest = 0;
  for (let pixel = 0; pixel < to; pixel++) {
    const centre = scale * (pixel + 0.5);
    first[pixel] = Math.max(Math.trunc(centre - support + 0.5), 0);
    count[pixel] = Math.min(Math.trunc(centre + support + 0.5), from) - first[pixel];
    let total = 0;
    for (let j = 0; j < count[pixel]; j++) {
      const weight = Math.max(0, 1 - Math.abs((j + first[pixel] - centre + 0.5) * inverse));
      exact[pixel * most + j] = weight;
      total += weight;
    }
    for (let j = 0; j < count[pixel]; j++) {
      exact[pixel * most + j] /= total;
      largest = Math.max(largest, exact[pixel * most + j]);
    }
  }
  let precision = 0;
  while (precision < MOST_PRECISION && Math.trunc(0.5 + largest * 2 ** (precision + 1)) < MOST_WEIGHT) precision += 1;
  return { first, count, most, precision, weights: Int32Array.from(exact, (weight) => Math.trunc(weight * 2 ** precision + 0.5)) };
}

// A pass along one axis. `lines` others lie `apart` from one another, the axis's pixels `step`; both in numbers.
function pass(source, target, table, channels, lines, [apart, step], [outApart, outStep]) {
  const { first, count, most, precision, weights } = table, half = 1 << (precision - 1);
  for (let line = 0; line < lines; line++) {
    for (let pixel = 0; pixel < first.length; pixel++) {
      const begin = line * apart + first[pixel] * step, many = count[pixel], at = pixel * most;
      for (let channel = 0; channel < channels; channel++) {
        let sum = half;
        for (let j = 0, i = begin + channel; j < many; j++, i += step) sum += source[i] * weights[at + j];
        target[line * outApart + pixel * outStep + channel] = sum >> precision; // a clamped array
      }
    }
  }
}

/** RGBA bytes of [height, width] -> RGB bytes of [height, width], Uint8ClampedArray: across and then down. */
export function resize(rgba, [height, width], [rows, columns]) {
  const across = new Uint8ClampedArray(height * columns * 3);
  if (columns === width) for (let i = 0; i < across.length; i++) across[i] = rgba[i + Math.floor(i / 3)];
  else pass(rgba, across, weightsOf(width, columns), 3, height, [4 * width, 4], [3 * columns, 3]);
  if (rows === height) return across;
  const down = new Uint8ClampedArray(rows * columns * 3);
  pass(across, down, weightsOf(height, rows), 3, columns, [3, 3 * columns], [3, 3 * columns]);
  return down;
}

/** RGBA bytes -> Float32Array (3, height, width) of the plan's crop, black beyond the picture, normalised.
 *
 * mean, std: of each channel, in the bytes' own scale. */
export function pixelValues(rgba, plan, { mean, std }) {
  const rgb = resize(rgba, plan.picture, plan.resized);
  const [rows, columns] = plan.resized, [height, width] = plan.crop, [top, left] = plan.offset;
  const values = new Float32Array(3 * height * width);
  for (let channel = 0; channel < 3; channel++) {
    const table = Float32Array.from({ length: 256 }, (_, byte) => Math.fround(byte - mean[channel]) / std[channel]);
    for (let y = 0, i = channel * height * width; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const [row, column] = [y + top, x + left];
        const inside = row >= 0 && row < rows && column >= 0 && column < columns;
        values[i] = table[inside ? rgb[3 * (row * columns + column) + channel] : 0];
      }
    }
  }
  return values;
}
