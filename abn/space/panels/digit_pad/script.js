// 280 x 280 pixels, ten times a digit's; a stroke is told after it is done.
const canvas = element.querySelector('canvas'), context = canvas.getContext('2d');
let last = null;
function clear() { context.fillStyle = 'black'; context.fillRect(0, 0, canvas.width, canvas.height); }
function place(event) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}
function stroke(to) {
  context.strokeStyle = 'white'; context.lineWidth = 24; context.lineCap = context.lineJoin = 'round';
  context.beginPath(); context.moveTo(...last); context.lineTo(...to); context.stroke();
  last = to;
}
canvas.addEventListener('pointerdown', (event) => {
  canvas.setPointerCapture(event.pointerId); last = place(event); stroke(last);
});
canvas.addEventListener('pointermove', (event) => { if (last) stroke(place(event)); });
const stop = () => { if (last) { last = null; trigger('release', { picture: canvas.toDataURL('image/png') }); } };
canvas.addEventListener('pointerup', stop);
canvas.addEventListener('pointercancel', stop);
element.querySelector('button').addEventListener('click', clear);
clear();
