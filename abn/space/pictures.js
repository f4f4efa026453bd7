// The picture at hand: decoded and reduced in the browser, sent when it is first asked about.

const LONGEST = 1024; // pixels: no view shows more
const MOST_BYTES = 300_000; // of a reduced picture
const MOST_FILE = 20_000_000; // the server's own limit, for what the browser cannot decode
const READY = ['image/jpeg', 'image/png', 'image/webp'];
const KEPT = 'abn-picture-';

export class Refused extends Error {
  // key: of the catalogue
  constructor(key, values = {}) {
    super(key);
    this.key = key;
    this.values = values;
  }
}

function canvasOf(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

// Whether this browser, resizing in one step, takes every pixel into account: Chromium and Firefox do, WebKit does not.
let averaging = null;
async function averages() {
  const context = canvasOf(8, 8).getContext('2d', { willReadFrequently: true });
  context.fillRect(0, 0, 8, 8);
  context.fillStyle = 'white';
  context.fillRect(0, 0, 3, 8);
  context.drawImage(await resized(context.canvas, 1, 1), 0, 0);
  return Math.abs(context.getImageData(0, 0, 1, 1).data[0] - (3 / 8) * 255) < 30;
}

const resized = (source, resizeWidth, resizeHeight) =>
  createImageBitmap(source, { resizeWidth, resizeHeight, resizeQuality: 'high' });

function drawn(source, width, height) {
  const canvas = canvasOf(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.fillStyle = 'white';
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  return canvas;
}

// On white, at most LONGEST pixels a side: in one step where that averages, else halved step by step.
async function reduced(bitmap) {
  let { width, height } = bitmap;
  const scale = LONGEST / Math.max(width, height);
  if (scale >= 1) return drawn(bitmap, width, height);
  const goal = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  averaging ??= await averages().catch(() => false);
  if (averaging) return drawn(await resized(bitmap, ...goal), ...goal);
  let from = bitmap;
  while (width !== goal[0] || height !== goal[1]) {
    [width, height] = [Math.max(goal[0], Math.ceil(width / 2)), Math.max(goal[1], Math.ceil(height / 2))];
    from = drawn(from, width, height);
  }
  return from;
}

const encoded = (canvas, quality) => new Promise((done) => canvas.toBlob(done, 'image/jpeg', quality));

// The JPEG that goes up: as good as MOST_BYTES allow.
async function light(canvas) {
  let blob = null;
  for (const quality of [0.92, 0.85, 0.75, 0.6, 0.4]) {
    blob = await encoded(canvas, quality);
    if (blob.size <= MOST_BYTES) break;
  }
  return blob;
}

async function decoded(blob) {
  try {
    return await createImageBitmap(blob, { imageOrientation: 'from-image' });
  } catch {
    return null;
  }
}

class Picture {
  // source: {example}, {share} or, once sent, {upload}. pixels: a canvas, null until they are there. blob: what is sent,
  // or its promise: a picture is seen before it is encoded.
  constructor({ name, source = null, pixels = null, blob = null, local = '', shown = '' }) {
    Object.assign(this, { name, source, pixels, blob, local, shown });
  }

  get key() {
    return this.source?.example || this.source?.share || this.local;
  }

  // Send it where it has not been sent, once for all who ask; gives its source.
  async sent(server, signal) {
    while (!this.source) {
      this.sending ||= this.send(server, signal).finally(() => {
        this.sending = null;
      });
      try {
        this.source = { upload: await this.sending };
      } catch (error) {
        if (error.name !== 'AbortError' || signal?.aborted) throw error; // else whoever began it has left: once more
      }
    }
    return this.source;
  }

  async send(server, signal) {
    return server.upload(await this.blob, this.name, signal);
  }

  // The server has it no longer.
  forgotten() {
    if (this.blob) this.source = null;
    return Boolean(this.blob);
  }

  // What the server saw, for a picture that this browser cannot decode.
  async see(url) {
    const bitmap = await decoded(await (await fetch(url)).blob());
    if (bitmap) this.pixels = await reduced(bitmap);
  }
}

async function remember(picture) {
  const blob = await picture.blob;
  const reader = new FileReader();
  reader.onload = () => {
    try {
      const keys = Object.keys(sessionStorage).filter((key) => key.startsWith(KEPT));
      for (const key of keys.slice(0, Math.max(0, keys.length - 4))) sessionStorage.removeItem(key);
      sessionStorage.setItem(KEPT + picture.local, JSON.stringify({ name: picture.name, url: reader.result }));
    } catch {
      // full or forbidden: the picture is gone when the page is
    }
  };
  reader.readAsDataURL(blob);
}

// A file or a pasted picture. Raises Refused.
export async function fromFile(file) {
  const name = file.name || 'picture.png';
  const local = crypto.randomUUID?.().slice(0, 8) || Math.random().toString(36).slice(2, 10);
  const bitmap = await decoded(file);
  if (!bitmap) {
    if (file.size > MOST_FILE) throw new Refused('picture_bytes', { name });
    if (file.size === 0) throw new Refused('picture_unreadable', { name });
    return new Picture({ name, blob: file, local });
  }
  const small = file.size <= MOST_BYTES && Math.max(bitmap.width, bitmap.height) <= LONGEST && READY.includes(file.type);
  const pixels = await reduced(bitmap);
  bitmap.close?.();
  const picture = new Picture({ name, pixels, local, blob: small ? file : light(pixels) });
  remember(picture);
  return picture;
}

// A canvas: a camera's picture, a drawn digit.
export async function fromCanvas(canvas, name) {
  const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
  return fromFile(new File([blob], name, { type: 'image/png' }));
}

// A picture of this browser's session, by the id in the address; null where it is gone.
export async function fromSession(local) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT + local));
    const blob = await (await fetch(kept.url)).blob();
    const pixels = await reduced(await decoded(blob));
    return new Picture({ name: kept.name, pixels, local, blob });
  } catch {
    return null;
  }
}

// kind: "example" or "share". Its pixels come when `pixelsOf` is called.
export const fromServer = (kind, id) => new Picture({ name: id, source: { [kind]: id } });

// Fetch what is not there yet. Raises Refused where the server has no such picture.
export async function pixelsOf(picture, server) {
  if (picture.pixels || picture.blob) return;
  picture.coming ||= pixelsFrom(picture, server).finally(() => {
    picture.coming = null;
  });
  await picture.coming;
}

async function pixelsFrom(picture, server) {
  const [[kind, id]] = Object.entries(picture.source);
  const answer = await fetch(server.picture(kind, id));
  const bitmap = answer.ok && (await decoded(await answer.blob()));
  if (!bitmap) throw new Refused(kind === 'share' ? 'share_gone_now' : 'picture_gone');
  picture.pixels = await reduced(bitmap);
}
