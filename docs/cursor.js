// A pointer that screenshots show: headless browsers draw none.
(() => {
  const pointer = document.createElement('div');
  Object.assign(pointer.style, {
    position: 'fixed',
    left: '0',
    top: '0',
    width: '22px',
    height: '22px',
    marginLeft: '-11px',
    marginTop: '-11px',
    borderRadius: '50%',
    border: '2px solid #fff',
    background: '#4338caaa',
    boxShadow: '0 1px 4px #000a',
    pointerEvents: 'none',
    zIndex: '9999',
  });
  document.body.append(pointer);
  const move = (event) => {
    pointer.style.transform = `translate(${event.clientX}px, ${event.clientY}px) scale(${event.buttons ? 0.7 : 1})`;
  };
  for (const kind of ['pointermove', 'pointerdown', 'pointerup']) {
    document.addEventListener(kind, move, { capture: true, passive: true });
  }
})();
