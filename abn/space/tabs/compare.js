// Compare: several methods on the same picture, each over its own peak, two of them on each side of a line.
import { pixelsOf } from '../pictures.js';
import { lay, peakOf } from '../widgets/stage/paint.js';
import { Stage } from '../widgets/stage/stage.js';
import { cardGrid } from './comparing/cards.js';
import { options } from './comparing/options.js';

const TOGETHER = 150; // milliseconds in which several changes make one question
const SKELETONS = 5; // before it is known what the model knows

export function mount(section, app) {
  const { words } = app;
  const find = (selector) => section.querySelector(selector);
  const stage = new Stage(find('[data-place=stage]'), app);
  const chosen = options(section, app, () => look(true));
  const cards = cardGrid(section, app, put);
  const stop = find('[data-stop]');
  const sides = { left: find('[data-side-of=left]'), right: find('[data-side-of=right]') };
  let at = null; // what is compared: see `begin`
  let run = null; // the question under way: {control, names}
  let timer = 0;
  let laid = ''; // the methods on the stage

  // --- What is compared
  const model = () => app.view.model || app.state.model.name;
  const key = () => ({ picture: app.picture, model: model(), view: app.view.view, target: chosen.target });
  const same = (one, other) => Object.keys(one).every((name) => one[name] === other[name]);

  // Look whether there is something new to ask: the picture, the model, the class, the methods. again: also after Stop.
  function look(again = false) {
    if (!app.picture || !app.state) return;
    if (at && !same(at.key, key())) cancel();
    if (section.hidden) return;
    chosen.forget(model());
    if (!at || !same(at.key, key())) begin();
    else if (again) at.stopped = false;
    ask();
  }

  function cancel() {
    clearTimeout(timer);
    run?.control.abort();
    run = null;
  }

  function begin() {
    cancel();
    // found: method -> what is known of it; frame: where the maps lie
    at = { key: key(), found: new Map(), frame: null, notes: [], stopped: false };
    laid = '';
    if (at.key.model === app.state.model.name) chosen.fillMethods(app.state.abilities.methods, at.key.model);
    cards.clear();
    stage.show(app.picture.pixels);
    stage.note(words.say('looking'));
    fillSides();
  }

  const whole = (name) => {
    const found = at.found.get(name);
    return Boolean(found && (found.map || found.left?.map) && (!chosen.curves || found.curves || found.left));
  };
  const missing = () => chosen.chosen().filter((name) => !whole(name));

  // Ask for what is not there yet, unless it is under way.
  function ask() {
    const known = chosen.knows(at.key.model);
    cards.show(known ? chosen.chosen() : Array.from({ length: SKELETONS }, (_, place) => `?${place}`), chosen.curves);
    for (const [name, found] of at.found) cards.fill(name, found);
    fillSides();
    const open = known ? missing() : null;
    if (run && run.curves === chosen.curves && (!open || run.names?.filter((name) => !whole(name)).join() === open.join())) return;
    cancel();
    if (open && !open.length) return finish();
    if (at.stopped) return;
    tell(words.say('looking'), true);
    timer = setTimeout(() => send(open), TOGETHER);
  }

  // names: of methods; null for those that the model usually is compared by.
  async function send(names) {
    const mine = { control: new AbortController(), names, curves: chosen.curves, turn: Promise.resolve() };
    const { picture, target, view } = at.key;
    run = mine;
    const report = (answer) => {
      mine.turn = mine.turn.then(() => mine === run && take(answer, mine));
    };
    try {
      await pixelsOf(picture, app.server);
      if (mine !== run) return;
      const values = { methods: names, curves: mine.curves, target, view, labels: !chosen.names(at.key.model), preview: !picture.pixels };
      const last = await app.askAbout(picture, 'compare', values, { signal: mine.control.signal, report });
      await mine.turn;
      if (mine !== run) return;
      run = null;
      if (last.error) return fail(last.error);
      for (const name of mine.names.filter((each) => !whole(each))) at.found.set(name, { left: { map: true } });
      if (mine.made) reopen(mine.names);
      ask();
    } catch (error) {
      if (mine !== run) return;
      run = null;
      fail(app.reason(error));
    }
  }

  // The server computes only so long for one question: what it left out is asked for once more, as long as each question
  // brings something.
  function reopen(names) {
    for (const found of names.map((name) => at.found.get(name)).filter((each) => each.left)) {
      at.notes = at.notes.filter((note) => note !== found.why);
      Object.assign(found, { left: null, why: '' });
    }
  }

  function fail(why) {
    at.stopped = true;
    tell(why, false);
    if (!at.found.size) stage.note(why, 'empty');
  }

  // --- Answers, one by one
  async function take(answer, mine) {
    if (answer.known) await open(answer, mine);
    if (mine !== run) return;
    if (answer.method) keep(answer, mine);
    if (answer.doing) mine.long = true;
    if (answer.doing) tell(words.say('compare_step', { what: answer.doing, place: answer.place, count: answer.count }), true);
    if (answer.done) at.notes.push(...answer.notes);
  }

  async function open(answer, mine) {
    const { key } = at;
    const { box, span, size, shared, target } = answer;
    Object.assign(at, { frame: { box, span, size }, shared, explained: target });
    mine.names ||= answer.methods;
    chosen.fillMethods(answer.known, key.model);
    if (answer.labels) chosen.fillTargets(answer.labels, answer.tasks, key.model);
    cards.show(chosen.chosen(), chosen.curves);
    if (!key.picture.pixels && answer.preview) await key.picture.see(answer.preview.url);
    if (mine !== run) return;
    if (stage.pixels !== key.picture.pixels) stage.show(key.picture.pixels);
    cards.picture(key.picture.pixels, at.frame);
  }

  function keep(answer, mine) {
    const found = at.found.get(answer.method) || {};
    mine.made ||= Boolean(answer.curves || (mine.long && answer.map && !found.map));
    if (answer.map) {
      found.map = { rows: rowsOf(answer.map), ...at.frame };
      found.peak = peakOf(lay(found.map, ...seen()));
      Object.assign(found, { milliseconds: answer.milliseconds, shared: at.shared, target: answer.target, explained: at.explained });
    }
    if (answer.curves) found.curves = answer.curves;
    if (answer.left) found.left = { ...found.left, [answer.left]: true };
    if (answer.why && !answer.curves) found.why = answer.why;
    at.found.set(answer.method, found);
    cards.fill(answer.method, found);
    if (answer.map) fillSides();
  }

  // The pixels that the stage shows a map on.
  function seen() {
    const { box, size } = at.frame;
    const { width, height } = at.key.picture.pixels;
    return [((box[2] - box[0]) * width) / size[0], ((box[3] - box[1]) * height) / size[1]].map((each) => Math.max(1, Math.round(each)));
  }

  function finish() {
    const names = chosen.chosen();
    const notes = names.length ? [words.say('compare_done', { name: words.named(at.explained || '') })] : [words.say('compare_none')];
    const measured = (name) => at.found.get(name)?.curves;
    if (chosen.curves && names.some(measured)) {
      const worth = (name) => (measured(name) ? measured(name).areas[0] - measured(name).areas[1] : Number.NEGATIVE_INFINITY);
      cards.order([...names].sort((one, other) => worth(other) - worth(one)));
      notes.push(words.say('compare_sorted'));
    }
    tell([...new Set([...notes, ...at.notes])].join(' · '), null);
  }

  // busy: true while it computes, false where it stopped, null when all is there.
  function tell(text, busy) {
    const more = busy && chosen.curves ? ` · ${words.say('compare_sorting')}` : '';
    find('[data-status]').textContent = `${text}${more}`;
    stop.disabled = busy === null;
    stop.textContent = words.say(busy === false ? 'compare_go' : 'compare_stop');
    section.querySelector('[data-cards]').setAttribute('aria-busy', String(busy === true));
  }

  // --- Two maps under the line
  function fillSides() {
    const names = chosen.chosen().filter((name) => at.found.get(name)?.map);
    for (const select of Object.values(sides)) {
      const [before, { wanted }] = [select.value, select.dataset];
      select.replaceChildren(...names.map((name) => new Option(words.method(name), name)));
      select.value = [wanted, before].find((name) => names.includes(name)) || '';
    }
    const free = (other) => names.find((name) => name !== other) || names[0] || '';
    if (!sides.left.value) sides.left.value = free(sides.right.value);
    if (!sides.right.value) sides.right.value = free(sides.left.value);
    layBoth();
  }

  function layBoth() {
    const names = [sides.left.value, sides.right.value];
    const [first, second] = names.map((name) => at.found.get(name)?.map);
    cards.sides(...names);
    if (!first || laid === names.join()) return;
    laid = names.join();
    stage.lay(first, second !== first ? second : null);
    stage.note('');
  }

  function put(side, name) {
    sides[side].value = name;
    sides[side].dataset.wanted = name;
    layBoth();
  }

  Object.assign(sides.left.dataset, { wanted: 'attention' });
  Object.assign(sides.right.dataset, { wanted: 'grad-cam' });
  for (const [side, select] of Object.entries(sides)) select.addEventListener('change', () => put(side, select.value));
  stop.addEventListener('click', () => {
    if (at?.stopped) return look(true);
    cancel();
    at.stopped = true;
    tell(words.say('compare_stopped'), false);
  });
  find('[data-absolute]').addEventListener('change', (event) => {
    stage.absolute = event.target.checked;
    stage.follow();
    cards.absolute = event.target.checked;
  });
  tell('', null);
  app.onPicture(() => look());
  app.onState(() => look());
  app.follow((changed) => {
    if (['blend', 'alpha', 'colours', 'stretch'].some((name) => name in changed)) cards.paintAll();
    if ('model' in changed || 'view' in changed) look();
  });
  return {
    shown() {
      look();
      stage.place();
    },
  };
}

// A map's float32 numbers, as rows.
export function rowsOf({ shape: [height, width], floats }) {
  const bytes = Uint8Array.from(atob(floats), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => view.getFloat32(4 * (y * width + x), true)));
}
