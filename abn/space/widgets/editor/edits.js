// An attention map under edit: rows of numbers, 0 to 1 where a place is weighed, -1 where its features are taken away; and
// what that tells of each place: true, to look there, false, not to, null, nothing. What is done can be undone.

const REMEMBERED = 100;
export const VALUES = { hide: -1, erase: 0, add: 1 };

const copy = (rows) => rows.map((row) => row.slice());

export class Edits {
  // own: the map as the model gave it.
  constructor(own) {
    this.own = own;
    this.rows = copy(own);
    this.told = own.map((row) => row.map(() => null));
    this.past = [];
  }

  get size() {
    return [this.rows.length, this.rows[0].length];
  }

  // Whether anything is told of any place.
  get tells() {
    return this.told.flat().some((each) => each !== null);
  }

  // Before a stroke or a step that is to be undone as a whole.
  remember() {
    this.past.push([copy(this.rows), copy(this.told)]);
    if (this.past.length > REMEMBERED) this.past.shift();
  }

  undo() {
    if (!this.past.length) return false;
    [this.rows, this.told] = this.past.pop();
    return true;
  }

  // A round brush at a place; radius in places.
  paint(row, column, radius, value) {
    this.each((_, y, x) => {
      if (Math.hypot(y - row, x - column) > radius + 0.25) return;
      this.rows[y][x] = value;
      this.told[y][x] = value > 0;
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

  // work: (value, own value, what is told) -> the new [value, what is told], of each place.
  change(work) {
    this.remember();
    const made = this.rows.map((row, y) => row.map((value, x) => work(value, this.own[y][x], this.told[y][x])));
    this.rows = made.map((row) => row.map(([value]) => value));
    this.told = made.map((row) => row.map(([, told]) => told));
  }

  invert() {
    this.change((value, _, told) => (value < 0 ? [value, told] : [1 - value, told === null ? null : !told]));
  }

  clear() {
    this.change(() => [0, false]);
  }

  reset() {
    this.change((_, own) => [own, null]);
  }

  // The object is where the model's own map reaches half of its peak. It is hidden, or all else is; what was hidden
  // elsewhere comes back as the model gave it.
  object(hidden) {
    const half = Math.max(...this.own.flat()) / 2;
    this.change((value, own, told) => {
      if (own >= half === hidden) return [VALUES.hide, false];
      return value < 0 ? [own, null] : [value, told];
    });
  }
}
