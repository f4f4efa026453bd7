// The stage: a picture on a canvas with a map over it, and all that needs no server: blend, alpha, colours, legend, the
// value under the pointer, the bare picture, two maps on each side of a line, saving.
import { lay, paint, rangeOf } from './paint.js';

let count = 0;

export class Stage {
  // place: where it is put. app: the page's view, words and colour tables.
  constructor(place, app) {
    this.app = app;
    this.words = app.words;
    place.append(app.template('stage'));
    this.root = place.querySelector('[data-stage]');
    this.canvas = this.root.querySelector('.abn-stage-box > canvas');
    this.box = this.root.querySelector('.abn-stage-box');
    this.line = this.root.querySelector('[data-line]');
    this.corners = this.root.querySelector('[data-corners]');
    this.pixels = null;
    this.layers = []; // one map, or one on each side of the line
    this.split = 0.5;
    this.bare = false;
    this.absolute = false;
    this.context = this.canvas.getContext('2d', { willReadFrequently: true });
    this.controls();
    this.pointers();
    this.dragged();
    new ResizeObserver(() => this.place()).observe(this.box);
    app.follow(() => this.follow());
    this.follow();
  }

  // A picture without a map: a canvas, an image or a video's frame; null for none.
  show(pixels) {
    this.pixels = pixels;
    this.layers = [];
    this.base = pixels ? { left: 0, top: 0, width: pixels.width, height: pixels.height } : null;
    this.prepare();
  }

  // Lay an answer's map over the picture: {rows, box, span, size}; a second one goes right of the line.
  lay(first, second = null) {
    const { box, size } = first;
    const across = this.pixels.width / size[0];
    const down = this.pixels.height / size[1];
    const [left, top] = [box[0] * across, box[1] * down];
    const [right, bottom] = [box[2] * across, box[3] * down];
    const width = Math.max(1, Math.round(right - left));
    const height = Math.max(1, Math.round(bottom - top));
    this.base = { left, top, width, height, across: right - left, down: bottom - top };
    this.layers = [first, second].filter(Boolean).map((map) => {
      const heat = lay(map, width, height);
      const range = rangeOf(heat);
      return { heat, range, peak: range[1] };
    });
    this.prepare();
  }

  // The line for a screen reader and the half that lies under it.
  prepare() {
    this.line.hidden = this.layers.length < 2;
    this.root.classList.toggle('abn-nothing', !this.pixels);
    if (this.pixels) {
      const { left, top, width, height, across = width, down = height } = this.base;
      if (this.canvas.width !== width) this.canvas.width = width;
      if (this.canvas.height !== height) this.canvas.height = height;
      this.context.drawImage(this.pixels, left, top, across, down, 0, 0, width, height);
      this.picture = this.context.getImageData(0, 0, width, height);
      this.out = new ImageData(width, height);
      this.half = null;
    }
    this.place();
    this.legend();
    this.draw();
  }

  how(layer) {
    const { blend, alpha, colours, stretch } = this.app.view;
    const peak = this.absolute ? 1 : layer.peak;
    return { blend, alpha, colours: this.app.colours[colours], stretch: stretch && !this.absolute, range: layer.range, peak };
  }

  // Paint now, or with the next frame where that is asked for.
  draw() {
    if (!this.pixels) return;
    const { width, height } = this.canvas;
    const [first, second] = this.layers;
    if (!first || this.bare) {
      this.context.putImageData(this.picture, 0, 0);
      return;
    }
    paint(this.out.data, this.picture.data, first.heat, width, height, this.how(first));
    this.context.putImageData(this.out, 0, 0);
    if (!second) return;
    this.half ||= new ImageData(width, height);
    paint(this.half.data, this.picture.data, second.heat, width, height, this.how(second));
    const from = Math.round(this.split * width);
    if (from < width) this.context.putImageData(this.half, 0, 0, from, 0, width - from, height);
  }

  later() {
    this.waiting ||= requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  // words: what is going on, over the dimmed picture; '' when it is done.
  note(words, kind = 'busy') {
    this.root.querySelector('[data-note]').textContent = words;
    this.root.dataset.state = words ? kind : '';
    this.canvas.setAttribute('aria-busy', String(Boolean(words) && kind === 'busy'));
  }

  // Blend and alpha are the page's: every stage shows the same.
  controls() {
    count += 1;
    for (const radio of this.root.querySelectorAll('[data-blend] input')) {
      radio.name = `abn-blend-${count}`;
      radio.addEventListener('change', () => this.app.set({ blend: radio.value }));
    }
    const alpha = this.root.querySelector('[data-alpha]');
    alpha.addEventListener('input', () => this.app.set({ alpha: Number(alpha.value) }));
  }

  follow() {
    const { blend, alpha } = this.app.view;
    for (const radio of this.root.querySelectorAll('[data-blend] input')) radio.checked = radio.value === blend;
    this.root.querySelector('[data-alpha]').value = alpha;
    this.root.querySelector('[data-alpha-value]').textContent = alpha.toFixed(2);
    this.legend();
    this.later();
  }

  legend() {
    const legend = this.root.querySelector('[data-legend]');
    const [first] = this.layers;
    legend.classList.toggle('abn-unsaid', !first);
    const { blend, colours, stretch } = this.app.view;
    const words = { peak: first ? first.peak.toFixed(2) : '' };
    const own = this.layers.length < 2 ? 'legend_most' : 'legend_peak';
    const key = this.absolute ? 'legend_absolute' : stretch ? 'legend_stretch' : blend === 'paper' ? 'legend_paper' : own;
    legend.querySelector('[data-most]').textContent = this.words.say(key, words);
    const canvas = legend.querySelector('canvas');
    const context = canvas.getContext('2d');
    const row = context.createImageData(canvas.width, 1);
    const table = this.app.colours[colours];
    for (let x = 0; x < canvas.width; x++) {
      const at = Math.floor((255 * x) / (canvas.width - 1));
      const colour = blend === 'spotlight' ? [at, at, at] : table.subarray(3 * at, 3 * at + 3);
      row.data.set([...colour, 255], 4 * x);
    }
    context.putImageData(row, 0, 0);
  }

  // Where the canvas's content lies in the box: it keeps its proportions.
  frame() {
    const outer = this.canvas.getBoundingClientRect();
    const scale = Math.min(outer.width / this.canvas.width, outer.height / this.canvas.height) || 1;
    const [width, height] = [scale * this.canvas.width, scale * this.canvas.height];
    return {
      left: outer.left + (outer.width - width) / 2,
      top: outer.top + (outer.height - height) / 2,
      width,
      height,
    };
  }

  place() {
    if (this.line.hidden) return;
    const [frame, outer] = [this.frame(), this.box.getBoundingClientRect()];
    this.line.style.left = `${frame.left - outer.left + this.split * frame.width}px`;
    this.line.style.top = `${frame.top - outer.top}px`;
    this.line.style.height = `${frame.height}px`;
    this.line.setAttribute('aria-valuenow', String(Math.round(100 * this.split)));
  }

  // The place under the pointer, 0 to 1 across and down; null outside the picture.
  at(event) {
    const frame = this.frame();
    const [x, y] = [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
    return x >= 0 && x < 1 && y >= 0 && y < 1 ? [x, y] : null;
  }

  pointers() {
    const value = this.root.querySelector('[data-value]');
    const tell = (event) => {
      const at = this.layers.length ? this.at(event) : null;
      value.hidden = !at;
      if (!at) return;
      const layer = this.layers[this.layers.length > 1 && at[0] >= this.split ? 1 : 0];
      const [x, y] = [Math.floor(at[0] * this.canvas.width), Math.floor(at[1] * this.canvas.height)];
      const here = layer.heat[y * this.canvas.width + x];
      const share = layer.peak ? Math.round((100 * here) / layer.peak) : 0;
      value.textContent = this.words.say('value_here', { value: here.toFixed(2), share });
    };
    const bare = (on) => {
      if (this.bare === on) return;
      this.bare = on;
      this.draw();
    };
    this.canvas.addEventListener('pointermove', tell);
    this.canvas.addEventListener('pointerdown', (event) => {
      tell(event);
      if (event.button === 0 && this.pressed !== false) bare(true);
    });
    for (const end of ['pointerup', 'pointercancel', 'pointerleave']) {
      this.canvas.addEventListener(end, () => bare(false));
    }
    this.canvas.addEventListener('pointerleave', () => {
      value.hidden = true;
    });
    this.canvas.addEventListener('keydown', (event) => {
      if (event.key !== ' ' && event.key.toLowerCase() !== 'b') return;
      event.preventDefault();
      bare(true);
    });
    for (const end of ['keyup', 'blur']) this.canvas.addEventListener(end, () => bare(false));
  }

  dragged() {
    const to = (split) => {
      this.split = Math.min(1, Math.max(0, split));
      this.place();
      this.later();
    };
    let held = false;
    this.line.addEventListener('pointerdown', (event) => {
      held = true;
      this.line.setPointerCapture(event.pointerId);
      event.preventDefault();
      this.line.focus();
    });
    this.line.addEventListener('pointermove', (event) => {
      if (!held) return;
      const frame = this.frame();
      to((event.clientX - frame.left) / frame.width);
    });
    for (const end of ['pointerup', 'pointercancel']) {
      this.line.addEventListener(end, () => {
        held = false;
      });
    }
    this.line.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      to(this.split + step);
    });
  }

  // What is shown, at the picture's own size.
  save(name = 'attention.png') {
    this.canvas.toBlob((blob) => {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(blob);
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }

  async fullscreen() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.root.requestFullscreen?.();
  }
}
