// A pad to draw a digit on, for networks that know digits: white on black, as MNIST's are; 280 pixels, ten times theirs.
export function wirePad(section, drawn) {
  const panel = section.querySelector('[data-panel=pad]');
  const canvas = panel.querySelector('canvas');
  const context = canvas.getContext('2d');
  let last = null;

  function clear() {
    context.fillStyle = 'black';
    context.fillRect(0, 0, canvas.width, canvas.height);
  }

  function at(event) {
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  function stroke(to) {
    context.strokeStyle = 'white';
    context.lineWidth = 24;
    context.lineCap = 'round';
    context.lineJoin = 'round';
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...to);
    context.stroke();
    last = to;
  }

  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = at(event);
    stroke(last);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (last) stroke(at(event));
  });
  for (const end of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(end, () => {
      if (!last) return;
      last = null;
      drawn(canvas);
    });
  }
  panel.querySelector('[data-pad-clear]').addEventListener('click', clear);
  clear();
  return {
    show({ abilities }) {
      panel.hidden = !abilities.pad;
    },
    reset() {},
  };
}
