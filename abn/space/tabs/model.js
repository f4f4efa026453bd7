// Model: which one answers, for this visitor alone, and how good it was measured to be. What the figures' file says is
// another's text: it is set as text.
import { bring } from '../models.js';

export function mount(section, app) {
  const { words } = app;
  const find = (selector) => section.querySelector(selector);
  const root = find('[data-model-about]');
  const field = find('[data-model-field]');
  const status = find('[data-model-status]');
  const progress = find('[data-model-progress]');
  const count = new Intl.NumberFormat(words.language);
  let asking = null; // about the model in use
  let bringing = null; // another one
  let shown = false;
  let told = ''; // the model that the tab tells of

  // --- Which model
  function say(what, kind = '') {
    status.textContent = what;
    status.className = kind;
    progress.hidden = kind !== 'busy';
  }

  async function use(name) {
    bringing?.abort();
    const mine = new AbortController();
    bringing = mine;
    const report = ({ share }) => {
      if (mine !== bringing || share === undefined) return;
      say(words.say('model_bringing', { name, share: words.percent(share) }), 'busy');
      progress.value = share;
    };
    progress.removeAttribute('value');
    say(words.say('model_asking', { name }), 'busy');
    try {
      const found = await bring(app, name, { signal: mine.signal, report });
      if (mine !== bringing) return;
      field.value = '';
      say(words.say('model_in_use', { name: found.shown }));
    } catch (error) {
      if (mine !== bringing) return;
      say(words.say('model_refused', { reason: app.reason(error), name: app.find('[data-chip-name]').textContent }), 'abn-refused');
    }
  }

  find('[data-model-form]').addEventListener('submit', (event) => {
    event.preventDefault();
    const name = field.value.trim();
    if (name) use(name);
    else {
      bringing?.abort();
      bringing = null;
      say(words.say('model_none_named'), 'abn-refused');
      field.focus();
    }
  });

  // --- How good it is
  function table(name, rows, heads = []) {
    find(`[data-fold=${name}]`).hidden = !rows.length;
    const lines = rows.map(([head, ...cells]) => {
      const line = document.createElement('tr');
      line.append(cell('th', head, 'row'), ...cells.map((each) => cell('td', each ?? '')));
      return line;
    });
    if (heads.length) {
      const line = document.createElement('tr');
      line.append(document.createElement('td'), ...heads.map((each) => cell('th', each, 'col')));
      lines.unshift(line);
    }
    find(`[data-table=${name}]`).replaceChildren(...lines);
    return lines;
  }

  function cell(tag, text, scope = '') {
    const made = document.createElement(tag);
    made.textContent = text;
    if (scope) made.scope = scope;
    return made;
  }

  function measuredOn({ pictures, dataset, boxed }) {
    if (boxed && dataset !== null) return words.say('measured_boxes', { dataset });
    if (pictures === null) return words.say('measured_unsaid');
    const values = { count: count.format(pictures), dataset };
    return words.say(dataset === null ? 'measured_on_some' : 'measured_on', values);
  }

  function figure({ key, value, ...on }) {
    const made = app.template('large').firstElementChild;
    const [name, number, means, where] = made.children;
    name.textContent = words.say(`figure_${key}`);
    number.textContent = value;
    means.textContent = words.say(`means_${key}`);
    where.textContent = measuredOn(on);
    return made;
  }

  function fill(about) {
    root.classList.remove('abn-model-waiting');
    find('[data-model-name]').textContent = about.name;
    find('[data-model-description]').textContent = about.description;
    find('[data-models]').replaceChildren(...about.models.map(([name, named]) => new Option(named, name)));
    find('[data-large]').replaceChildren(...about.large.map(figure));
    find('[data-large]').hidden = !about.large.length;
    find('[data-model-none]').hidden = Boolean(about.large.length + about.answers.length);
    table('answers', about.answers.map(([key, value]) => [words.say(`figure_${key}`), value]));
    const maps = about.maps || { methods: [], rows: [] };
    const heads = maps.methods.map((name) => words.method(name));
    table('maps', maps.rows.map(([key, own, other]) => [words.say(`figure_${key}`), own, ...(heads.length > 1 ? [other] : [])]), heads);
    table('classes', about.classes.map(([name, value]) => [words.named(name), value]));
    const matrix = about.matrix || { labels: [], rows: [] };
    const names = matrix.labels.map(words.named);
    const lines = table('matrix', matrix.rows.map((row, place) => [names[place], ...row]), names);
    for (const [place, row] of matrix.rows.entries()) {
      const total = row.reduce((sum, value) => sum + value, 0) || 1;
      for (const [at, value] of row.entries()) lines[place + 1].children[at + 1].style.setProperty('--share', value / total);
    }
    table('made', about.made);
  }

  const served = () => app.asking.model || app.state.model.name;

  async function ask() {
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    told = served();
    root.classList.add('abn-model-waiting');
    try {
      const about = await app.server.ask('about', app.asking, { signal: mine.signal });
      if (mine !== asking) return;
      if (about.error) throw Object.assign(new Error(about.error), { words: about.error });
      fill(about);
    } catch (error) {
      if (mine !== asking) return;
      told = '';
      root.classList.remove('abn-model-waiting');
      say(app.reason(error), 'abn-refused');
    }
  }

  const refresh = () => shown && served() !== told && ask();
  app.follow((changed) => 'model' in changed && refresh());
  app.onState(refresh);

  return {
    shown() {
      shown = true;
      told = ''; // which models there are may have changed
      refresh();
    },
    hidden() {
      shown = false;
    },
  };
}
