// The page's beginning: light or dark, the frame's own modules, and a copy that the browser keeps for the next visit.
import { start } from './page.js';

const base = new URL('.', import.meta.url).href.replace(/\/$/, '');
const dark = matchMedia('(prefers-color-scheme: dark)');
const theme = () => document.documentElement.classList.toggle('dark', dark.matches);

// Kept once the network is there: what is asked for first comes first.
function keep() {
  if (!navigator.serviceWorker) return;
  const home = new URL('..', `${base}/`);
  const worker = new URL('sw.js', home);
  worker.searchParams.set('base', base);
  navigator.serviceWorker.register(worker, { scope: home.pathname }).catch((error) => console.warn(error.message));
}

async function begin(told) {
  const page = document.getElementById('abn-page');
  const curves = page.querySelector('[data-curves]'); // they take hundreds of forward passes
  curves.checked = false;
  curves.closest('label').hidden = true;
  const { server } = await start(page, base, base);
  told.remove();
  server.loaded.then(keep);
}

theme();
dark.addEventListener('change', theme);
const told = document.querySelector('[data-plain]');
if (told.hidden) await begin(told); // else plain.js has said why not
