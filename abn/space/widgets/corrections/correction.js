// A correction as it is kept, and as files of a zip; docs/corrections.md has the format.
import { greyPng, LOOK, maskOf, NOTHING } from './mask.js';
import { zipOf } from './zip.js';

const LOSSLESS = 256 * 256; // pixels up to which a picture is kept without loss
const SMALL = 88; // pixels, the longer side of a small picture of it

const encoded = (canvas, kind, quality) => new Promise((good) => canvas.toBlob(good, kind, quality));

// pixels: the picture's canvas. told, frame: see maskOf. more: {id, model, name, right, said, at}.
export async function correctionOf(pixels, told, frame, more) {
  const { width, height } = pixels;
  const mask = maskOf(told, frame, width, height);
  const small = width * height <= LOSSLESS;
  return {
    ...more,
    ending: small ? 'png' : 'jpg',
    picture: await encoded(pixels, small ? 'image/png' : 'image/jpeg', 0.95),
    mask: await greyPng(mask, width, height),
    small: smallOf(pixels, mask),
  };
}

// The picture with what should not be looked at dark, and what should green.
function smallOf(pixels, mask) {
  const scale = SMALL / Math.max(pixels.width, pixels.height);
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(pixels.width * scale));
  canvas.height = Math.max(1, Math.round(pixels.height * scale));
  const context = canvas.getContext('2d');
  context.drawImage(pixels, 0, 0, canvas.width, canvas.height);
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let y = 0, i = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++, i += 4) {
      const at = [(x + 0.5) / scale, (y + 0.5) / scale].map(Math.floor);
      const value = mask[Math.min(pixels.height - 1, at[1]) * pixels.width + Math.min(pixels.width - 1, at[0])];
      if (value === NOTHING) continue;
      const share = value === LOOK ? 0.5 : 0.2;
      for (let c = 0; c < 3; c++) image.data[i + c] = share * image.data[i + c] + (value === LOOK && c === 1 ? 127 : 0);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas.toDataURL('image/jpeg', 0.8);
}

// A zip of them, in their order.
export function packed(corrections) {
  const files = corrections.flatMap((one, place) => {
    const plain = one.right.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 40);
    const name = [String(place + 1).padStart(4, '0'), plain].filter(Boolean).join('-');
    return [{ name: `${name}.${one.ending}`, blob: one.picture }, { name: `${name}.mask.png`, blob: one.mask }];
  });
  const lines = corrections.map((one, place) => {
    const [file, mask] = [files[2 * place].name, files[2 * place + 1].name];
    const [label, confidence] = one.said;
    return JSON.stringify({ file, mask, class: one.right, said: { label, confidence }, model: one.model, time: one.at, name: one.name });
  });
  const list = new Blob(lines.map((line) => `${line}\n`));
  return zipOf([...files, { name: 'corrections.jsonl', blob: list }]);
}
