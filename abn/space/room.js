// How tall the page may be. On huggingface.co it lies in a frame that grows with its content, where `vh` means the frame
// and not the screen; the host tells what is seen of it, and until it does the screen's own height has to do.

const HEADER = 112; // pixels that a host's own header takes
const LEAST = 480;

export function fit(root) {
  const framed = window.parent !== window;
  document.documentElement.classList.toggle('abn-framed', framed);
  let told = 0;
  const set = () => {
    const screenHeight = Math.min(window.screen.availHeight || Infinity, framed ? Infinity : window.innerHeight);
    const tall = framed ? told || screenHeight - HEADER : window.innerHeight;
    root.style.setProperty('--tall', `${Math.max(LEAST, Math.round(tall))}px`);
  };
  set();
  if (!framed) {
    window.addEventListener('resize', set);
    return;
  }
  // iframe-resizer's page info: the host's window and where the frame begins in it
  const listen = () =>
    window.parentIFrame?.getPageInfo?.((info) => {
      const height = Math.min(info.clientHeight || info.windowHeight, window.screen.availHeight || Infinity);
      const above = Math.max(0, Math.min(HEADER, info.offsetTop || 0));
      if (!height || Math.abs(height - above - told) < 2) return;
      told = height - above;
      set();
    });
  if (window.parentIFrame) listen();
  else window.iFrameResizer = { ...window.iFrameResizer, onReady: listen };
}
