// A card a method: its map over the picture, its peak, its time, its curves. A card that waits is a skeleton of the same
// size.
import { areasOf, drawing, largeCurves, signed } from '../../widgets/curves/curves.js';
import { lay, paint } from '../../widgets/stage/paint.js';

const [WIDE, HIGH] = [320, 240]; // pixels of a card's map at most

export function cardGrid(section, app, put) {
  const { words } = app;
  const grid = section.querySelector('[data-cards]');
  const enlarge = largeCurves(section, words);
  const cards = new Map(); // method -> {element, found, heat}
  let base = null; // the picture's pixels in a card's size
  let waiting = 0;
  let later = null; // an order that waits until nobody points at a card
  let absolute = false;

  function made(name) {
    const element = section.querySelector('template[data-template=card]').content.cloneNode(true).firstElementChild;
    element.dataset.method = name;
    const title = name.startsWith('?') ? '\u00a0' : words.method(name);
    element.querySelector('h3').textContent = title;
    element.querySelector('h3').title = title;
    const card = { name, title, element, found: null, heat: null };
    for (const button of element.querySelectorAll('[data-side]')) {
      const { side } = button.dataset;
      button.setAttribute('aria-label', words.say(`compare_put_${side}`, { name: title }));
      button.disabled = true;
      button.addEventListener('click', () => put(side, name));
    }
    const curves = element.querySelector('[data-enlarge]');
    curves.disabled = true;
    curves.setAttribute('aria-label', words.say('compare_curves_large', { name: title }));
    curves.addEventListener('click', () => enlarge(title, words.named(card.found.explained), card.found.curves));
    element.querySelector('canvas').addEventListener('click', () => card.found?.map && put('right', name));
    return card;
  }

  // The cards to be seen: those that are there stay where they are, new ones come last. '?1' is one that has no name yet.
  function show(names, curves) {
    grid.classList.toggle('abn-no-curves', !curves);
    for (const [name, card] of cards) {
      if (names.includes(name)) continue;
      card.element.remove();
      cards.delete(name);
    }
    for (const name of names) {
      if (cards.has(name)) continue;
      cards.set(name, made(name));
      grid.append(cards.get(name).element);
    }
  }

  function clear() {
    grid.replaceChildren();
    cards.clear();
    later = null;
    base = null;
  }

  // The part of the picture that was looked at: `frame` is an answer's {box, size}.
  function picture(pixels, { box, size }) {
    const [across, down] = [pixels.width / size[0], pixels.height / size[1]];
    const [left, top, width, height] = [box[0] * across, box[1] * down, (box[2] - box[0]) * across, (box[3] - box[1]) * down];
    const scale = Math.min(WIDE / width, HIGH / height, 1);
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    const context = canvas.getContext('2d');
    context.imageSmoothingQuality = 'high';
    context.drawImage(pixels, left, top, width, height, 0, 0, canvas.width, canvas.height);
    base = context.getImageData(0, 0, canvas.width, canvas.height);
    for (const card of cards.values()) card.heat = null;
  }

  // found: what is known of a method: {map, peak, milliseconds, shared, target, explained, curves, why}.
  function fill(name, found) {
    const card = cards.get(name);
    if (!card) return;
    const { element } = card;
    const fresh = card.found?.map !== found.map;
    card.found = { ...found };
    const say = (key, text) => {
      element.querySelector(`[data-${key}]`).textContent = text;
    };
    const left = found.left?.map;
    element.classList.toggle('abn-waiting', !found.map && !left);
    if (found.map) {
      const whom = found.target ? words.say('compare_for_class', { name: words.named(found.target) }) : words.say('compare_every_class');
      say('peak', words.say('compare_peak', { peak: found.peak.toFixed(2) }));
      say('whom', whom);
      const [shared, own] = [found.shared, found.milliseconds].map((each) => (each < 10 ? each.toFixed(1) : each.toFixed(0)));
      say('time', words.say('compare_time', { all: Math.round(found.shared + found.milliseconds), shared, own }));
      for (const button of element.querySelectorAll('[data-side]')) button.disabled = false;
    }
    const button = element.querySelector('[data-enlarge]');
    button.disabled = !found.curves;
    if (found.curves) {
      button.replaceChildren(drawing(section, found.curves, words));
      const [insertion, deletion] = areasOf(found.curves, words);
      const [inserted, deleted] = found.curves.areas;
      const difference = words.say('compare_difference_short', { value: signed(inserted - deleted) });
      say('areas', `${insertion} · ${deletion}\n${difference}`);
    } else {
      button.replaceChildren();
      say('areas', found.why || '');
    }
    if (fresh) {
      card.heat = null;
      draw(card);
    }
  }

  function draw(card) {
    const { element, found } = card;
    if (!base || !found?.map) return;
    const canvas = element.querySelector('canvas');
    const { width, height } = base;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    card.heat ||= lay(found.map, width, height);
    const { blend, alpha, colours, stretch } = app.view;
    const how = { blend, alpha, colours: app.colours[colours], stretch: stretch && !absolute, peak: absolute ? 1 : found.peak };
    const out = new ImageData(width, height);
    paint(out.data, base.data, card.heat, width, height, how);
    canvas.getContext('2d').putImageData(out, 0, 0);
  }

  function paintAll() {
    if (waiting) return;
    waiting = requestAnimationFrame(() => {
      waiting = 0;
      for (const card of cards.values()) draw(card);
    });
  }

  // Put them into an order; not while somebody points at one or has the keyboard in one.
  function order(names) {
    later = names;
    if (grid.matches(':hover, :focus-within')) return;
    settle();
  }

  function settle() {
    if (!later || grid.matches(':hover, :focus-within')) return;
    const now = [...grid.children].map((each) => each.dataset.method);
    const wanted = later.filter((name) => cards.has(name));
    later = null;
    if (wanted.join() !== now.join()) grid.append(...wanted.map((name) => cards.get(name).element));
  }

  grid.addEventListener('pointerleave', () => setTimeout(settle));
  grid.addEventListener('focusout', () => setTimeout(settle));

  return {
    show,
    clear,
    picture,
    fill,
    paintAll,
    order,
    sides(left, right) {
      for (const [name, { element }] of cards)
        for (const button of element.querySelectorAll('[data-side]'))
          button.setAttribute('aria-pressed', String(name === (button.dataset.side === 'left' ? left : right)));
    },
    set absolute(on) {
      absolute = on;
      paintAll();
    },
  };
}
