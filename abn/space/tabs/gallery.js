// Gallery: pictures that the network was not trained on, each with its attention and what the network says.
import { fromServer } from '../pictures.js';
import { tileOf } from './tile.js';

const PAGE = 24; // cards that the server sends at a time

export function mount(section, app) {
  const { words } = app;
  const find = (selector) => section.querySelector(selector);
  const grid = find('[data-tiles]');
  const more = find('[data-more]');
  const status = find('[data-status]');
  const filters = { label: find('[data-class]'), order: find('[data-order]') };
  let cards = [];
  let asking = null; // the question under way
  let asked = ''; // what the cards answer: model, examples and filters
  let shown = false;

  const to = (tab) => async (id) => {
    await app.choose(fromServer('example', id));
    app.open(tab);
  };

  // Cards that wait for their pictures: as many as may come.
  function skeletons(count) {
    return Array.from({ length: count }, () => {
      const empty = section.querySelector('template[data-template=tile]').content.cloneNode(true).firstElementChild;
      empty.querySelector('.abn-tile').disabled = true;
      return empty;
    });
  }

  // The cards of an answer, behind those that are there already.
  function put(list, before) {
    const same = cards.length === before + list.length && list.every((each, place) => cards[before + place].id === each.id);
    if (same) return;
    for (const card of cards.slice(before)) card.leave();
    const made = list.map((each) => tileOf(each, section, app, { open: to('explain'), correct: to('edit') }));
    cards = [...cards.slice(0, before), ...made];
    grid.replaceChildren(...cards.map((card) => card.place));
    grid.setAttribute('aria-busy', 'false');
    if (before && made.length) made[0].root.focus();
    rove(cards[before]?.root || cards[0]?.root);
  }

  function said(answer) {
    const values = { shown: cards.length, kept: answer.kept, count: answer.count, right: answer.right };
    if (answer.kept === 0) return words.say('gallery_none');
    return words.say(answer.known ? 'gallery_done' : 'gallery_other', values);
  }

  async function ask(start = 0) {
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    asked = key();
    if (!start) {
      for (const card of cards) card.leave();
      cards = [];
      grid.replaceChildren();
    }
    more.hidden = true;
    grid.setAttribute('aria-busy', 'true');
    grid.append(...skeletons(PAGE));
    status.textContent = words.say('gallery_asking');
    const report = (answer) => {
      if (mine !== asking || answer.kept !== undefined || answer.error) return;
      status.textContent = words.say('gallery_progress', answer);
      if (answer.cards) put(answer.cards, start);
    };
    try {
      const values = { ...app.asking, label: filters.label.value, order: filters.order.value, start };
      const answer = await app.server.ask('gallery', values, { signal: mine.signal, report });
      if (mine !== asking) return;
      if (answer.error) throw Object.assign(new Error(answer.error), { words: answer.error });
      put(answer.cards, start);
      more.hidden = cards.length >= answer.kept;
      status.textContent = said(answer);
    } catch (error) {
      if (mine !== asking) return;
      grid.replaceChildren(...cards.map((card) => card.place));
      grid.setAttribute('aria-busy', 'false');
      status.textContent = app.reason(error);
      asked = '';
      more.hidden = false; // to ask again
    }
  }

  // What the cards depend on.
  function key() {
    const { model, examples, opening } = app.state;
    const served = app.asking.model || model.name;
    return JSON.stringify([served, opening, examples.map((each) => each.id), filters.label.value, filters.order.value]);
  }

  const refresh = () => shown && key() !== asked && ask();

  for (const filter of Object.values(filters)) filter.addEventListener('change', () => ask());
  more.addEventListener('click', () => ask(cards.length));

  // --- One Tab stop, and the card's "correct" another: arrows go from card to card
  function rove(to) {
    for (const { root, place } of cards)
      for (const button of place.querySelectorAll('button')) button.tabIndex = root === to ? 0 : -1;
  }
  grid.addEventListener('focusin', (event) => rove(event.target.closest('.abn-tile-place').querySelector('.abn-tile')));
  grid.addEventListener('keydown', (event) => {
    const at = cards.findIndex((card) => card.place.contains(document.activeElement));
    const columns = getComputedStyle(grid).gridTemplateColumns.split(' ').length;
    const steps = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns, Home: 0, End: cards.length - 1 };
    const to = cards[steps[event.key]];
    if (!to) return;
    event.preventDefault();
    to.root.focus();
  });

  app.follow((changed) => {
    if ('model' in changed) refresh();
    if (['blend', 'alpha', 'colours', 'stretch'].some((name) => name in changed)) for (const card of cards) card.later();
  });
  app.onState((state) => {
    if (filters.label.options.length === 1) {
      filters.label.append(...state.classes.map((name) => new Option(words.named(name), name)));
      filters.order.append(...state.groups.map((name) => new Option(words.say(`gallery_${name}`), name)));
    }
    refresh();
  });

  return {
    shown() {
      shown = true;
      refresh();
    },
    hidden() {
      shown = false;
    },
  };
}
