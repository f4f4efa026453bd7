// JET comes before this: 256 colours. The inside is rewritten with each new picture, so listeners sit on the element and
// look things up.
const find = (selector) => element.querySelector(selector);
let stage = null, map = [], own = [], past = [], cursor = [0, 0], stroke = null, keys = false;
const copy = (rows) => rows.map((row) => row.slice());
const value = () => ({ add: 1, erase: 0, hide: -1 })[find('input[name=abn-tool]:checked').value];
const reach = () => (Number(find('input[type=range]').value) - 1) / 2;

function current() {
  const found = find('.abn-edit-layers');
  if (found && found !== stage) {
    stage = found; own = JSON.parse(found.dataset.map); map = copy(own); past = [];
    cursor = [Math.floor(own.length / 2), Math.floor(own[0].length / 2)];
    draw();
  }
  return found;
}
const places = () => map.flatMap((row, y) => row.map((v, x) => [v, x, y]));
function draw() {
  const colours = find('canvas.abn-colours'), marks = find('canvas.abn-marks');
  const rows = map.length, columns = map[0].length;
  colours.width = columns; colours.height = rows;
  const pixels = new ImageData(columns, rows);
  for (const [v, x, y] of places()) {
    const colour = JET[Math.floor(255 * Math.max(0, v))];
    pixels.data.set(v < 0 ? [0, 0, 0, 0] : [...colour, 255], 4 * (y * columns + x));
  }
  colours.getContext('2d').putImageData(pixels, 0, 0);
  marks.width = stage.clientWidth; marks.height = stage.clientHeight;
  const context = marks.getContext('2d'), w = marks.width / columns, h = marks.height / rows;
  for (const [v, x, y] of places()) {
    if (v >= 0) continue;
    context.fillStyle = 'rgba(20, 20, 24, ' + 0.92 * -v + ')';
    context.fillRect(x * w, y * h, w + 0.5, h + 0.5);
  }
  if (keys && document.activeElement === marks) {
    const r = reach();
    context.strokeStyle = 'white'; context.lineWidth = 3;
    context.strokeRect((cursor[1] - r) * w, (cursor[0] - r) * h, (2 * r + 1) * w, (2 * r + 1) * h);
  }
  find('button[data-do=undo]').disabled = past.length === 0;
}
function paint(row, column) {
  const r = reach(), v = value();
  for (let y = 0; y < map.length; y++) for (let x = 0; x < map[0].length; x++)
    if (Math.hypot(y - row, x - column) <= r + 0.25) map[y][x] = v;
}
function tell() { draw(); trigger('release', { map: map }); }
function remember() { past.push(copy(map)); if (past.length > 100) past.shift(); }
function place(event) {
  const box = stage.getBoundingClientRect();
  return [(event.clientY - box.top) / box.height * map.length - 0.5,
          (event.clientX - box.left) / box.width * map[0].length - 0.5];
}
element.addEventListener('pointerdown', (event) => {
  if (!event.target.matches('canvas.abn-marks') || !current()) return;
  event.target.setPointerCapture(event.pointerId);
  keys = false;
  remember(); stroke = place(event).map(Math.round); paint(...stroke); draw();
});
element.addEventListener('pointermove', (event) => {
  if (!stroke || !current()) return;
  const to = place(event).map(Math.round), from = stroke;
  const [down, right] = [to[0] - from[0], to[1] - from[1]], steps = Math.max(1, Math.abs(down), Math.abs(right));
  for (let i = 1; i <= steps; i++) paint(from[0] + down * i / steps, from[1] + right * i / steps);
  stroke = to; draw();
});
const stop = () => { if (stroke) { stroke = null; tell(); } };
element.addEventListener('pointerup', stop);
element.addEventListener('pointercancel', stop);
element.addEventListener('keydown', (event) => {
  if (!event.target.matches('canvas.abn-marks') || !current()) return;
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  keys = true;
  if (step) {
    cursor = [Math.min(map.length - 1, Math.max(0, cursor[0] + step[0])),
              Math.min(map[0].length - 1, Math.max(0, cursor[1] + step[1]))];
    draw();
  } else if (event.key === ' ' || event.key === 'Enter') { remember(); paint(...cursor); tell(); } else return;
  event.preventDefault();
});
element.addEventListener('keyup', () => { keys = true; if (current()) draw(); });
element.addEventListener('focusout', () => { if (current()) draw(); });
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-do]');
  if (!button || !current()) return;
  if (button.dataset.do === 'undo') { if (past.length) map = past.pop(); } else {
    remember();
    if (button.dataset.do === 'invert') map = map.map((row) => row.map((v) => (v < 0 ? v : 1 - v)));
    if (button.dataset.do === 'clear') map = map.map((row) => row.map(() => 0));
    if (button.dataset.do === 'reset') map = copy(own);
  }
  tell();
});
new MutationObserver(() => current()).observe(element, { childList: true, subtree: true });
new ResizeObserver(() => { if (current()) draw(); }).observe(element);
current();
