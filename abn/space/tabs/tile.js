// A card of the gallery: a small picture with its map, its class and the answer. Hover, focus or a press show it bare.
import { percent } from '../widgets/scores/scores.js';
import { unpacked } from '../widgets/stage/packed.js';
import { lay, paint, peakOf } from '../widgets/stage/paint.js';

// Pictures are fetched when their cards come near.
const near = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) waiting.get(target)?.();
  },
  { rootMargin: '300px' },
);
const waiting = new WeakMap();

// card: the server's {id, label, drawn, answer, confidence, right, correct, map}. open, correct: called with the id. Gives
// {id, place, root, later, leave}: place is what stands in the grid, root the card's own button in it.
export function tileOf(card, section, app, { open, correct }) {
  const { words } = app;
  const place = section.querySelector('template[data-template=tile]').content.cloneNode(true).firstElementChild;
  const root = place.querySelector('.abn-tile');
  const canvas = root.querySelector('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true });
  let layer = null; // {picture, out, heat, peak}, once the picture is there
  let queued = false;

  const name = words.named(card.label);
  root.dataset.id = card.id;
  root.querySelector('.abn-tile-label').textContent = card.drawn ? `${name} ${words.say('drawn')}` : name;
  const [mark, told, answer] = root.querySelectorAll('.abn-tile-answer > span');
  const kind = card.right === null ? '' : card.right ? 'right' : 'wrong';
  if (kind) {
    mark.textContent = { right: '✓', wrong: '✗' }[kind];
    told.textContent = words.say(`gallery_tile_${kind}`);
    mark.parentElement.classList.add(`abn-tile-${kind}`);
  }
  answer.textContent = `${words.named(card.answer)} ${percent(card.confidence)}`;

  root.title = `${root.querySelector('.abn-tile-label').textContent} – ${answer.textContent}`; // where it is cut

  const bare = () => root.matches(':hover, :focus-visible, :active');

  function draw() {
    if (!layer) return;
    const { picture, out, heat, peak } = layer;
    if (bare()) {
      context.putImageData(picture, 0, 0);
      return;
    }
    const { blend, alpha, colours, stretch } = app.view;
    paint(out.data, picture.data, heat, out.width, out.height, { blend, alpha, colours: app.colours[colours], stretch, peak });
    context.putImageData(out, 0, 0);
  }

  function later() {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => {
      queued = false;
      draw();
    });
  }

  async function fetched() {
    near.unobserve(root);
    waiting.delete(root);
    const image = new Image();
    image.src = app.server.picture('example', card.id, true);
    try {
      await image.decode();
    } catch {
      return; // the words stay
    }
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    canvas.width = width;
    canvas.height = height;
    context.drawImage(image, 0, 0);
    const map = unpacked(card.map);
    const heat = lay({ ...map, box: [0, 0, ...card.map.size] }, width, height);
    layer = { picture: context.getImageData(0, 0, width, height), out: new ImageData(width, height), heat, peak: peakOf(heat) };
    draw();
    root.dataset.painted = '';
  }

  for (const event of ['pointerenter', 'pointerleave', 'pointerdown', 'pointerup', 'pointercancel', 'focus', 'blur']) {
    root.addEventListener(event, later);
  }
  root.addEventListener('click', () => open(card.id));
  const button = place.querySelector('[data-correct]');
  button.hidden = !card.correct;
  button.title = words.say('gallery_correct', { name });
  button.setAttribute('aria-label', button.title);
  button.addEventListener('click', () => correct(card.id));
  waiting.set(root, fetched);
  near.observe(root);
  return { id: card.id, place, root, later, leave: () => near.unobserve(root) };
}
