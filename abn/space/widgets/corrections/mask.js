// A correction's mask: what was painted on the map's places, on the picture's pixels, as a grey PNG.
import { crc32 } from './zip.js';

export const [LOOK, NOT, NOTHING] = [255, 0, 128];

// For each of `count` pixels along a side: the map's place that it lies in, -1 outside what the network was shown. All in
// the upright picture's own pixels: length: the side's; start, stop: what was shown; span: what the map's places divide.
function places(count, length, start, stop, span, many) {
  return Int32Array.from({ length: count }, (_, pixel) => {
    const at = ((pixel + 0.5) * length) / count;
    if (at < start || at >= stop) return -1;
    return Math.min(many - 1, Math.max(0, Math.floor(((at - span[0]) / (span[1] - span[0])) * many)));
  });
}

// told: rows of true (look here), false (do not) or null. frame: {box, span, size}, where the map lies. Gives a byte a
// pixel, row after row.
export function maskOf(told, { box, span, size }, width, height) {
  const across = places(width, size[0], box[0], box[2], span[1], told[0].length);
  const down = places(height, size[1], box[1], box[3], span[0], told.length);
  const mask = new Uint8Array(width * height).fill(NOTHING);
  for (let y = 0; y < height; y++) {
    if (down[y] < 0) continue;
    const row = told[down[y]];
    for (let x = 0; x < width; x++) {
      if (across[x] < 0 || row[across[x]] === null) continue;
      mask[y * width + x] = row[across[x]] ? LOOK : NOT;
    }
  }
  return mask;
}

const number = (value) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];

function chunk(name, content) {
  const named = new Uint8Array([...new TextEncoder().encode(name), ...content]);
  return new Uint8Array([...number(content.length), ...named, ...number(crc32(named))]);
}

// An 8-bit grey PNG. A canvas would make it four channels, and a browser may change them.
export async function greyPng(values, width, height) {
  const lines = new Uint8Array((width + 1) * height); // before each line 0: no filter
  for (let y = 0; y < height; y++) lines.set(values.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const packing = new Blob([lines]).stream().pipeThrough(new CompressionStream('deflate'));
  const packed = new Uint8Array(await new Response(packing).arrayBuffer());
  const head = [...number(width), ...number(height), 8, 0, 0, 0, 0];
  const signature = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return new Blob([signature, chunk('IHDR', head), chunk('IDAT', packed), chunk('IEND', [])], { type: 'image/png' });
}
