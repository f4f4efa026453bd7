// How tall the page may be, and what of it is seen. On huggingface.co it lies in a frame that grows with its content,
// where `vh` and `position: fixed` mean the frame and not the screen; the host tells what is seen of it, and until it
// does the screen's own height has to do.

const HEADER = 112; // pixels that a host's own header takes
const LEAST = 480;
const PATIENCE = 400; // milliseconds for the host to tell, before the page is painted

// Sets the page's --tall (pixels of a first screen), --seen-top and --seen (what of the frame is on the screen). Done
// once the host has told, or is not expected to.
export function fit(root) {
  const framed = window.parent !== window;
  document.documentElement.classList.toggle('abn-framed', framed);
  const set = (name, pixels) => root.style.setProperty(name, `${Math.round(pixels)}px`);
  const own = () => set('--tall', Math.max(LEAST, window.innerHeight));
  if (!framed) {
    own();
    window.addEventListener('resize', own);
    return Promise.resolve();
  }
  const screen = window.screen.availHeight || window.innerHeight;
  let tall = screen - HEADER;
  set('--tall', Math.max(LEAST, tall));
  set('--seen-top', 0);
  set('--seen', Math.max(LEAST, tall));
  return new Promise((done) => {
    // iframe-resizer's page info: the host's window, where the frame begins in it and how far it is scrolled
    const told = ({ windowHeight, offsetTop = 0, scrollTop = 0 }) => {
      if (!windowHeight) return;
      const height = Math.min(windowHeight, 2 * screen); // a host that is stretched itself; one zoomed out may exceed its screen
      const next = height - Math.max(0, Math.min(HEADER, offsetTop));
      if (Math.abs(next - tall) > 1) {
        tall = next;
        set('--tall', Math.max(LEAST, tall));
      }
      const top = Math.max(0, scrollTop - offsetTop);
      set('--seen-top', top);
      set('--seen', Math.max(0, scrollTop + height - offsetTop - top));
      done();
    };
    const listen = () => window.parentIFrame?.getPageInfo?.(told);
    window.addEventListener('gradio:iframe-resizer-ready', listen);
    listen();
    setTimeout(done, PATIENCE);
  });
}
