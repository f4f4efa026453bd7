// An attention map under edit: rows of numbers, 0 to 1 where a place is weighed, -1 where its features are taken away.
// What is done can be undone.

const REMEMBERED = 100;
export const VALUES = { hide: -1, erase: 0, add: 1 };

const copy = (rows) => rows.map((row) => row.slice());

export class Edits {
  // own: the map as the model gave it.
  constructor(own) {
    this.own = own;
    this.rows = copy(own);
    this.past = [];
  }

  get size() {
    return [this.rows.length, this.rows[0].length];
  }

  // Before a stroke or a step that is to be undone as a whole.
  remember() {
    this.past.push(copy(this.rows));
    if (this.past.length > REMEMBERED) this.past.shift();
  }

  undo() {
    if (!this.past.length) return false;
    this.rows = this.past.pop();
    return true;
  }

  // A round brush at a place; radius in places.
  paint(row, column, radius, value) {
    this.each((_, y, x) => {
      if (Math.hypot(y - row, x - column) <= radius + 0.25) this.rows[y][x] = value;
    });
  }

  // A stroke from one place to another.
  stroke(from, to, radius, value) {
    const [down, right] = [to[0] - from[0], to[1] - from[1]];
    const steps = Math.max(1, Math.ceil(Math.max(Math.abs(down), Math.abs(right))));
    for (let step = 1; step <= steps; step++)
      this.paint(from[0] + (down * step) / steps, from[1] + (right * step) / steps, radius, value);
  }

  each(work) {
    for (const [y, row] of this.rows.entries()) for (const [x, value] of row.entries()) work(value, y, x);
  }

  change(work) {
    this.remember();
    this.rows = this.rows.map((row, y) => row.map((value, x) => work(value, this.own[y][x])));
  }

  invert() {
    this.change((value) => (value < 0 ? value : 1 - value));
  }

  clear() {
    this.change(() => 0);
  }

  reset() {
    this.change((_, own) => own);
  }

  // The object is where the model's own map reaches half of its peak. It is hidden, or all else is; what was hidden
  // elsewhere comes back as the model gave it.
  object(hidden) {
    const half = Math.max(...this.own.flat()) / 2;
    this.change((value, own) => (own >= half === hidden ? VALUES.hide : value < 0 ? own : value));
  }
}
