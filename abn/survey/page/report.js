// The report of a survey: what its data say, in the reader's language, in light or dark.
import { chosenLanguage, wordsOf } from '../../space/locale/words.js';
import { percent } from '../../space/widgets/scores/scores.js';
import { coloursOf } from '../../space/widgets/stage/paint.js';
import { tileOf } from './cards.js';
import { drawMap } from './maps.js';
import { showClasses, showConfusion } from './tables.js';

const held = (id) => JSON.parse(document.getElementById(id).textContent);
const [data, catalogues, tables] = [held('data'), held('words'), held('colours')];
const languages = Object.keys(catalogues);
const page = document.querySelector('.abn');
const find = (selector) => page.querySelector(selector);
const colours = coloursOf(tables.turbo);
const view = { blend: 'heat', alpha: 0.6, colours: coloursOf(tables.jet) };
let language = chosenLanguage(languages);
let words;
let group = (data.groups.find((each) => each.count) || data.groups[0]).key;
let tiles = [];

const whole = (count) => new Intl.NumberFormat(language).format(count);
const share = (part, of) => (of ? `${(100 * (part / of)).toFixed(1)} %` : '–');

function made(name, text = '', className = '') {
  const element = document.createElement(name);
  element.textContent = text;
  element.className = className;
  return element;
}

// name, large, small; kind: a colour.
function fact(name, large, small) {
  const box = made('div');
  box.append(made('dt', words.say(name)), made('dd', large, 'sv-large'), made('dd', small, 'abn-small'));
  return box;
}

function facts() {
  const list = [fact('pictures', whole(data.count), words.say('pictures_of', { classes: whole(data.classes.length) }))];
  if (data.known) list.push(fact('right', share(data.right, data.known), words.say('of', { part: whole(data.right), all: whole(data.known) })));
  if (data.branch) list.push(fact('differ', share(data.differ, data.branch), words.say('of', { part: whole(data.differ), all: whole(data.branch) })));
  if (data.calibrated) list.push(fact('unfamiliar', share(data.unfamiliar, data.read), words.say('of', { part: whole(data.unfamiliar), all: whole(data.read) })));
  if (data.count > data.read) list.push(fact('unread', whole(data.count - data.read), words.say('unread_below')));
  find('[data-facts]').replaceChildren(...list);
}

// --- The pictures to look at first
function groups() {
  const place = find('[data-groups]');
  place.replaceChildren(
    ...data.groups.map(({ key, count }) => {
      const button = made('button');
      button.type = 'button';
      button.setAttribute('role', 'tab');
      button.setAttribute('aria-selected', String(key === group));
      button.tabIndex = key === group ? 0 : -1;
      button.dataset.group = key;
      button.append(made('span', words.say(`group_${key}`)), made('b', whole(count)));
      button.addEventListener('click', () => choose(key));
      return button;
    }),
  );
}

function choose(key, focus = false) {
  group = key;
  for (const button of page.querySelectorAll('[data-groups] button')) {
    const on = button.dataset.group === key;
    button.setAttribute('aria-selected', String(on));
    button.tabIndex = on ? 0 : -1;
    if (on && focus) button.focus();
  }
  const { cards, count } = data.groups.find((each) => each.key === key);
  const shown = { shown: whole(cards.length), count: whole(count) };
  find('[data-about]').textContent = `${words.say(`about_${key}`)}${count > cards.length ? ` ${words.say('first_of', shown)}` : ''}`;
  tiles = cards.map((card) => tileOf(card, key, { page, words, view, open }));
  find('[data-tiles]').replaceChildren(...tiles.map((tile) => tile.root));
  find('[data-nothing]').hidden = cards.length > 0;
}

function open(card, draw) {
  const dialog = find('[data-dialog]');
  const mark = card.right === null ? '' : card.right ? '✓ ' : '✗ ';
  find('[data-answer]').textContent = `${mark}${words.named(card.answer)} ${percent(card.confidence)}`;
  find('[data-path]').textContent = card.path;
  const rows = [
    ['told_true', card.true_class === null ? null : words.named(card.true_class)],
    ['told_branch', card.attention_answer === null ? null : `${words.named(card.attention_answer)} ${percent(card.attention_confidence)}`],
    ['told_energy', card.energy.toFixed(2)],
    ['told_peak', card.peak.toFixed(2)],
    ['told_border', `${percent(card.border)} (${words.say('uniform', { share: percent(card.area) })})`],
    ['told_agreement', card.gradcam_agreement === null ? null : card.gradcam_agreement.toFixed(2)],
  ].filter(([, value]) => value !== null);
  find('[data-told]').replaceChildren(...rows.flatMap(([key, value]) => [made('dt', words.say(key)), made('dd', value)]));
  draw(find('[data-large]'));
  dialog.showModal();
}

// --- How sure it is, and where it looks
function bars() {
  const kinds = ['right', 'wrong', 'other'].filter((kind) => data.bins[kind].some(Boolean));
  const totals = data.bins.right.map((_, bin) => kinds.reduce((sum, kind) => sum + data.bins[kind][bin], 0));
  const most = Math.max(1, ...totals);
  find('[data-bars]').replaceChildren(
    ...totals.map((total, bin) => {
      const bar = made('div');
      bar.style.height = `${100 * Math.sqrt(total / most)}%`;
      bar.title = `${(100 * bin) / totals.length}–${(100 * (bin + 1)) / totals.length} %: ${whole(total)}`;
      for (const kind of kinds) {
        const part = made('i', '', `sv-${kind}`);
        part.style.flexGrow = data.bins[kind][bin];
        bar.append(part);
      }
      return bar;
    }),
  );
  const keys = kinds.map((kind) => {
    const item = made('li', words.say(kind === 'other' ? 'unknown' : `key_${kind}`));
    item.prepend(made('i', '', `sv-${kind}`));
    return item;
  });
  find('[data-key]').replaceChildren(...keys, made('li', words.say('root'), 'sv-note'));
}

function where() {
  find('[data-where]').textContent = words.say('where_about');
  if (data.mean) drawMap(find('[data-mean]'), data.mean, colours);
}

function unread() {
  find('[data-unread]').hidden = !data.unread.length;
  find('[data-unread-title]').textContent = words.say('unread_title', { count: whole(data.count - data.read) });
  find('[data-unread-list]').replaceChildren(
    ...data.unread.map(([path, error]) => {
      const item = made('li', path);
      item.append(made('span', error));
      return item;
    }),
  );
}

function show() {
  words = wordsOf(catalogues[language], language);
  document.documentElement.lang = language;
  words.fill(page);
  const next = languages[(languages.indexOf(language) + 1) % languages.length];
  find('[data-language]').textContent = catalogues[next].language;
  find('[data-language]').lang = next;
  find('[data-title]').textContent = data.name;
  document.title = `${data.name} – ${words.say('survey')}`;
  find('[data-made]').textContent = [data.checkpoint, words.say(`view_${data.view}`), data.arithmetic].join(' · ');
  facts();
  groups();
  choose(group);
  bars();
  where();
  const common = { page, words, whole, share, colours, made };
  showClasses(data, common);
  showConfusion(data, common);
  unread();
}

const dark = matchMedia('(prefers-color-scheme: dark)');
const theme = () => document.documentElement.classList.toggle('dark', dark.matches);
dark.addEventListener('change', theme);
theme();
find('[data-language]').addEventListener('click', () => {
  language = languages[(languages.indexOf(language) + 1) % languages.length];
  show();
});
find('[data-groups]').addEventListener('keydown', (event) => {
  const keys = data.groups.map((each) => each.key);
  const step = { ArrowRight: 1, ArrowLeft: keys.length - 1 }[event.key];
  if (step) choose(keys[(keys.indexOf(group) + step) % keys.length], true);
});
for (const radio of page.querySelectorAll('[data-blend] input')) {
  radio.addEventListener('change', () => {
    view.blend = radio.value;
    for (const tile of tiles) tile.draw();
  });
}
find('[data-alpha]').addEventListener('input', (event) => {
  view.alpha = Number(event.target.value);
  for (const tile of tiles) tile.draw();
});
find('[data-dialog]').addEventListener('click', (event) => {
  if (event.target === event.currentTarget) event.currentTarget.close();
});
show();
page.dataset.ready = '';
