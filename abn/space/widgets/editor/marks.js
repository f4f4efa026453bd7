// The canvas over a stage that is painted on: hidden places are dark and hatched, the brush has an outline.

const HATCH = 7; // pixels between two lines of the hatching

// tools: {reach(), value(), done(), moved()}: the brush's radius in places, what it paints, after a stroke, during one.
export class Marks {
  constructor(stage, label, tools) {
    this.stage = stage;
    this.tools = tools;
    this.edits = null;
    this.canvas = document.createElement('canvas');
    this.canvas.className = 'abn-marks';
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'application');
    this.canvas.setAttribute('aria-label', label);
    stage.canvas.after(this.canvas);
    stage.canvas.tabIndex = -1;
    this.at = null; // the brush's place
    this.from = null; // of the stroke under way
    this.keys = false;
    this.pointers();
    this.keyboard();
    new ResizeObserver(() => this.draw()).observe(stage.box);
  }

  // null: nothing can be painted on.
  show(edits) {
    this.edits = edits;
    this.from = null;
    this.at = edits ? edits.size.map((many) => Math.floor(many / 2)) : null;
    this.over = false;
    this.canvas.tabIndex = edits ? 0 : -1;
    this.draw();
  }

  place() {
    const [frame, outer] = [this.stage.frame(), this.stage.box.getBoundingClientRect()];
    const { style } = this.canvas;
    style.left = `${frame.left - outer.left}px`;
    style.top = `${frame.top - outer.top}px`;
    style.width = `${frame.width}px`;
    style.height = `${frame.height}px`;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [frame.width, frame.height].map((each) => Math.max(1, Math.round(each * ratio)));
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    return ratio;
  }

  draw() {
    this.canvas.hidden = !this.edits;
    if (!this.edits) return;
    const ratio = this.place();
    const context = this.canvas.getContext('2d');
    const [rows, columns] = this.edits.size;
    const [across, down] = [this.canvas.width / columns, this.canvas.height / rows];
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const hidden = new Path2D();
    this.edits.each((value, y, x) => {
      if (value < 0) hidden.rect(Math.floor(x * across), Math.floor(y * down), Math.ceil(across), Math.ceil(down));
    });
    this.hatch(context, hidden, ratio);
    if (this.over || this.from || (this.keys && document.activeElement === this.canvas)) this.outline(context, across, down, ratio);
  }

  hatch(context, places, ratio) {
    const { width, height } = this.canvas;
    context.save();
    context.fillStyle = 'rgb(13 15 19 / .86)';
    context.fill(places);
    context.clip(places);
    context.strokeStyle = 'rgb(255 255 255 / .3)';
    context.lineWidth = ratio;
    context.beginPath();
    for (let x = -height; x < width; x += HATCH * ratio) {
      context.moveTo(x, height);
      context.lineTo(x + height, 0);
    }
    context.stroke();
    context.restore();
  }

  outline(context, across, down, ratio) {
    const [row, column] = this.at;
    const radius = this.tools.reach() + 0.5;
    for (const [colour, width] of [['#0d0f13', 5], ['#fff', 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * ratio;
      context.beginPath();
      context.ellipse((column + 0.5) * across, (row + 0.5) * down, radius * across, radius * down, 0, 0, 7);
      context.stroke();
    }
  }

  // The map's place under the pointer, in whole places.
  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const [rows, columns] = this.edits.size;
    const within = (value, many) => Math.min(many - 1, Math.max(0, Math.round(value * many - 0.5)));
    return [within((event.clientY - box.top) / box.height, rows), within((event.clientX - box.left) / box.width, columns)];
  }

  pointers() {
    const { canvas, tools } = this;
    canvas.addEventListener('pointerdown', (event) => {
      if (!this.edits || event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.keys = false;
      this.edits.remember();
      this.at = this.under(event);
      this.from = this.at;
      this.edits.paint(...this.at, tools.reach(), tools.value());
      tools.moved();
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!this.edits) return;
      this.over = event.pointerType !== 'touch';
      this.at = this.under(event);
      if (!this.from) return this.draw();
      this.edits.stroke(this.from, this.at, tools.reach(), tools.value());
      this.from = this.at;
      tools.moved();
    });
    for (const end of ['pointerup', 'pointercancel']) {
      canvas.addEventListener(end, () => {
        if (!this.from) return;
        this.from = null;
        tools.done();
      });
    }
    canvas.addEventListener('pointerleave', () => {
      this.over = false;
      this.draw();
    });
  }

  keyboard() {
    const { canvas, tools } = this;
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    canvas.addEventListener('keydown', (event) => {
      if (!this.edits || event.ctrlKey || event.metaKey || event.altKey) return;
      const step = steps[event.key];
      if (!step && event.key !== ' ' && event.key !== 'Enter') return;
      event.preventDefault();
      this.keys = true;
      if (step) {
        this.at = this.at.map((place, axis) => Math.min(this.edits.size[axis] - 1, Math.max(0, place + step[axis])));
        return this.draw();
      }
      this.edits.remember();
      this.edits.paint(...this.at, tools.reach(), tools.value());
      tools.done();
    });
    canvas.addEventListener('keyup', () => {
      this.keys = true;
      this.draw();
    });
    for (const change of ['focus', 'blur']) canvas.addEventListener(change, () => this.draw());
  }
}
