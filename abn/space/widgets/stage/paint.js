// A map laid on a picture's pixels and painted over it: pure functions on typed arrays, no page.
//
// Numbers are those of the library, operation for operation: `lay` gives abn's heatmaps float for float, and `paint`
// with the blend "paper" gives `abn.overlay.overlay` within 1 of 255. NumPy's float32 steps are `Math.fround`.
//
// A heatmap is a Float32Array of width * height in [0, 1], row after row; a picture a Uint8ClampedArray of
// 4 * width * height, RGBA, as a canvas gives and takes it.

/**
 * A map on the pixels that divide its box.
 *
 * map: {rows, box, span}: h lists of w numbers (float32, in as few digits as tell them apart); [left, top, right,
 *   bottom] and [[top, bottom], [left, right]], `Geometry.box` and `Geometry.span`, in the picture's pixels.
 * heat: where to write, width * height; a new one if left out.
 *
 * Bilinear between the places' centres, constant outside them; cut to [0, 1] after that. As
 * `AbnImageProcessor.post_process_attention`: float64, across and then down.
 */
export function lay(map, width, height, heat = new Float32Array(width * height)) {
  const { rows, box, span } = map;
  const columns = places(box[0], box[2], width, span[1], rows[0].length);
  const lines = places(box[1], box[3], height, span[0], rows.length);
  const across = rows.map((row) => stretched(Float32Array.from(row), columns));
  for (let y = 0, i = 0; y < height; y++) {
    const above = across[lines.before[y]], below = across[lines.after[y]];
    const down = lines.fraction[y], up = 1 - down;
    for (let x = 0; x < width; x++, i++) {
      const value = above[x] * up + below[x] * down;
      heat[i] = Math.min(Math.max(value, 0), 1);
    }
  }
  return heat;
}

// For each of `count` pixels that divide [start, stop): the map's places before and after its centre, and how far it
// lies from the one to the other. The map's `many` places divide `span` evenly.
function places(start, stop, count, span, many) {
  const before = new Int32Array(count), after = new Int32Array(count), fraction = new Float64Array(count);
  const step = (stop - start) / count, length = span[1] - span[0], last = Math.max(many - 2, 0);
  for (let pixel = 0; pixel < count; pixel++) {
    const centre = start + (pixel + 0.5) * step;
    const at = Math.min(Math.max((centre - span[0]) / length * many - 0.5, 0), many - 1);
    before[pixel] = Math.min(Math.floor(at), last);
    after[pixel] = Math.min(before[pixel] + 1, many - 1);
    fraction[pixel] = at - before[pixel];
  }
  return { before, after, fraction };
}

function stretched(row, { before, after, fraction }) {
  const values = new Float64Array(before.length);
  for (let x = 0; x < values.length; x++) {
    values[x] = row[before[x]] * (1 - fraction[x]) + row[after[x]] * fraction[x];
  }
  return values;
}

/** [least, greatest] value of a heatmap. */
export function rangeOf(heat) {
  let low = heat[0], high = heat[0];
  for (let i = 1; i < heat.length; i++) {
    const value = heat[i];
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** The greatest value of a heatmap. */
export function peakOf(heat) {
  return rangeOf(heat)[1];
}

/** The 256 RGB entries of a colour map, Uint8Array(768), of its base64 (abn/colours.py). */
export function coloursOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/**
 * Paint a heatmap over a picture, into `out`; both RGBA of width * height, `out` may be `picture`.
 *
 * how.blend: "heat" (opaque where the map is strong), "spotlight" (dark where it is weak, with the contour of half its
 *   scale) or "paper" (the colours added).
 * how.alpha: 0 (the picture as it is) to 1.
 * how.colours: Uint8Array(768), see `coloursOf`; "spotlight" needs none.
 * how.stretch: the map's own least to greatest value fill the scale.
 * how.peak: without `stretch`, the value at the scale's end: the map's own greatest if left out, 1 for an absolute
 *   scale. "paper" has 1 always.
 * how.range: `rangeOf(heat)`, where it is known already.
 */
export function paint(out, picture, heat, width, height, how) {
  const scale = scaleOf(heat, how), to = bytes(out), from = bytes(picture);
  if (how.blend === 'paper') add(to, from, heat, scale, how);
  else if (how.blend === 'heat') mix(to, from, heat, scale, how);
  else if (how.blend === 'spotlight') {
    darken(to, from, heat, scale, how.alpha);
    outline(to, heat, width, height, scale, how.alpha);
  } else throw new Error('blend must be one of heat, spotlight, paper; got ' + how.blend);
}

/**
 * {low, length}: what of a heatmap runs from 0 to 1 under `how`, (value - low) / length cut at 1; see `paint`. A map
 * that is constant is not stretched. length is Infinity where there is nothing to show (a peak of 0).
 */
export function scaleOf(heat, how) {
  if (how.stretch) {
    const [low, high] = how.range ?? rangeOf(heat);
    if (high > low) return { low, length: Math.fround(high - low) };
  }
  if (how.blend === 'paper') return { low: 0, length: 1 };
  const peak = how.peak ?? (how.range ? how.range[1] : peakOf(heat));
  return { low: 0, length: peak > 0 ? Math.fround(peak) : Number.POSITIVE_INFINITY };
}

// The three below take one pass of whole numbers: a slider moves them. `s` is the float32 (value - low) / length; to
// round 255 * s to float32 as well would change no byte.

// A clamped array's bytes without the clamping, which costs more than all the rest.
function bytes(array) {
  return new Uint8Array(array.buffer, array.byteOffset, array.length);
}

// Sums are rounded as OpenCV does, halves to the even byte: by a table for even bytes of the picture and one for odd.
function add(out, picture, heat, { low, length }, { alpha, colours }) {
  const { fround } = Math, added = new Int32Array(1536);
  for (let c = 0; c < 768; c++) {
    const share = fround(fround(alpha) * colours[c]), whole = Math.floor(share);
    const down = share - whole < 0.5, half = share - whole === 0.5;
    added[c] = down || (half && whole % 2 === 0) ? whole : whole + 1;
    added[c + 768] = down || (half && whole % 2 === 1) ? whole : whole + 1;
  }
  for (let i = 0, p = 0; i < heat.length; i++, p += 4) {
    const s = fround(fround(heat[i] - low) / length), c = 3 * ((255 * s) | 0);
    let red = picture[p], green = picture[p + 1], blue = picture[p + 2];
    red += added[c + 768 * (red & 1)];
    green += added[c + 1 + 768 * (green & 1)];
    blue += added[c + 2 + 768 * (blue & 1)];
    out[p] = red | ((255 - red) >> 31); // all bits set above 255
    out[p + 1] = green | ((255 - green) >> 31);
    out[p + 2] = blue | ((255 - blue) >> 31);
    out[p + 3] = picture[p + 3];
  }
}

function mix(out, picture, heat, { low, length }, { alpha, colours }) {
  const { fround } = Math, full = 65536 * alpha;
  for (let i = 0, p = 0; i < heat.length; i++, p += 4) {
    let s = fround(fround(heat[i] - low) / length);
    if (s > 1) s = 1;
    const c = 3 * ((255 * s) | 0), opacity = (full * s + 0.5) | 0;
    const red = picture[p], green = picture[p + 1], blue = picture[p + 2];
    out[p] = red + (((colours[c] - red) * opacity + 32768) >> 16);
    out[p + 1] = green + (((colours[c + 1] - green) * opacity + 32768) >> 16);
    out[p + 2] = blue + (((colours[c + 2] - blue) * opacity + 32768) >> 16);
    out[p + 3] = picture[p + 3];
  }
}

function darken(out, picture, heat, { low, length }, alpha) {
  const { fround } = Math;
  for (let i = 0, p = 0; i < heat.length; i++, p += 4) {
    let s = fround(fround(heat[i] - low) / length);
    if (s > 1) s = 1;
    const light = (65536 * (1 - alpha * (1 - s)) + 0.5) | 0;
    out[p] = (picture[p] * light + 32768) >> 16;
    out[p + 1] = (picture[p + 1] * light + 32768) >> 16;
    out[p + 2] = (picture[p + 2] * light + 32768) >> 16;
    out[p + 3] = picture[p + 3];
  }
}

/** Pixels across each of the contour's two lines, in a picture of that size: a 512th of its longer side. */
export function lineWidth(width, height) {
  return Math.max(1, Math.round(Math.max(width, height) / 512));
}

// The contour of s = 0.5, at opacity alpha: a white line just within, a black one just without. A pixel belongs to it
// where one of the four that lie a line's width beside, above or below is on the other side.
function outline(out, heat, width, height, { low, length }, alpha) {
  const half = low + 0.5 * length, reach = lineWidth(width, height), rest = 1 - alpha, white = 255 * alpha;
  for (let y = 0, i = 0; y < height; y++) {
    const up = y >= reach ? reach * width : 0, down = y < height - reach ? reach * width : 0;
    for (let x = 0; x < width; x++, i++) {
      const within = heat[i] >= half;
      if (heat[i - up] >= half === within && heat[i + down] >= half === within
        && (x < reach || heat[i - reach] >= half === within)
        && (x >= width - reach || heat[i + reach] >= half === within)) continue;
      const p = 4 * i, light = within ? white : 0;
      out[p] = out[p] * rest + light + 0.5;
      out[p + 1] = out[p + 1] * rest + light + 0.5;
      out[p + 2] = out[p + 2] * rest + light + 0.5;
    }
  }
}
