// A picture to look at: its thumbnail with the map, what it is, what was said, and why it is here.
import { percent } from '../../space/widgets/scores/scores.js';
import { unpacked } from '../../space/widgets/stage/packed.js';
import { lay, paint, peakOf } from '../../space/widgets/stage/paint.js';

// Why a card is in its group.
function why(card, group, words) {
  if (group === 'disagree') {
    const label = words.named(card.attention_answer);
    return words.say('why_branch', { label, share: percent(card.attention_confidence) });
  }
  if (group === 'border') return words.say('why_border', { share: percent(card.border), uniform: percent(card.area) });
  if (group === 'unfamiliar') return words.say('why_energy', { energy: card.energy.toFixed(2) });
  return card.path.split('/').pop();
}

// page: with the template. view: {blend, alpha, colours}. open: called with the card and what draws it. Gives {root, draw}.
export function tileOf(card, group, { page, words, view, open }) {
  const root = page.querySelector('template[data-template=tile]').content.cloneNode(true).firstElementChild;
  const canvas = root.querySelector('canvas');
  let layer = null;

  const answer = `${words.named(card.answer)} ${percent(card.confidence)}`;
  root.querySelector('.abn-tile-label').textContent = card.true_class === null ? card.path.split('/').pop() : words.named(card.true_class);
  const [mark, said] = root.querySelectorAll('.abn-tile-answer > span');
  if (card.right !== null) {
    mark.textContent = card.right ? '✓' : '✗';
    mark.parentElement.classList.add(card.right ? 'abn-tile-right' : 'abn-tile-wrong');
  }
  said.textContent = answer;
  root.querySelector('.sv-why').textContent = why(card, group, words);
  root.title = card.path;

  function onto(target, bare = false) {
    if (!layer) return;
    const { picture, out, heat, peak } = layer;
    const { blend, alpha, colours } = view;
    if (bare) out.data.set(picture.data);
    else paint(out.data, picture.data, heat, out.width, out.height, { blend, alpha, colours, stretch: false, peak });
    target.width = out.width;
    target.height = out.height;
    target.getContext('2d').putImageData(out, 0, 0);
  }

  const draw = () => onto(canvas, root.matches(':hover, :focus-visible'));

  async function begin() {
    if (!card.picture) return;
    const image = new Image();
    image.src = card.picture;
    await image.decode();
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    const context = new OffscreenCanvas(width, height).getContext('2d');
    context.drawImage(image, 0, 0);
    // The map covers what the network saw; beyond it the picture stays as it is.
    const { box, size } = card.map;
    const [across, down] = [width / size[0], height / size[1]];
    const [left, top] = [Math.round(box[0] * across), Math.round(box[1] * down)];
    const [right, bottom] = [Math.round(box[2] * across), Math.round(box[3] * down)];
    const picture = context.getImageData(left, top, Math.max(1, right - left), Math.max(1, bottom - top));
    const heat = lay(unpacked(card.map), picture.width, picture.height);
    layer = { picture, out: new ImageData(picture.width, picture.height), heat, peak: peakOf(heat) };
    draw();
    root.dataset.painted = '';
  }

  for (const event of ['pointerenter', 'pointerleave', 'focus', 'blur']) root.addEventListener(event, draw);
  root.addEventListener('click', () => open(card, onto));
  begin();
  return { root, draw };
}
