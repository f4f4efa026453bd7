// Explain: one picture, what the network says of it, and where it looks.
import { fromCanvas, fromServer, pixelsOf } from '../pictures.js';
import { query } from '../view.js';
import { wireCamera } from '../widgets/camera/camera.js';
import { wirePad } from '../panels/digit_pad/pad.js';
import { layerPanel } from '../panels/layers/layers.js';
import { taskPanel } from '../panels/tasks/tasks.js';
import { percent, showScores } from '../widgets/scores/scores.js';
import { Stage } from '../widgets/stage/stage.js';
import { exampleRow } from './examples.js';

export function mount(section, app) {
  const { words } = app;
  const find = (selector) => section.querySelector(selector);
  const stage = new Stage(find('[data-place=stage]'), app);
  stage.corners.append(find('template[data-template=corners]').content.cloneNode(true));
  let asking = null; // the question under way
  let held = null; // {picture, answer}: what is shown together

  // --- The answer
  function empty() {
    find('[data-answer]').classList.add('abn-waiting');
    find('[data-label]').textContent = '\u00a0';
    for (const name of ['share-of-it', 'sentence', 'small', 'shared']) find(`[data-${name}]`).textContent = '';
    find('[data-warning]').hidden = true;
    find('[data-link]').hidden = true;
    showScores(find('[data-scores]'), [], app);
  }

  function fill(answer) {
    const { label } = answer;
    find('[data-answer]').classList.remove('abn-waiting');
    find('[data-label]').textContent = words.named(label);
    find('[data-share-of-it]').textContent = percent(answer.classes[0][1]);
    const said = find('[data-sentence]');
    said.textContent = sentence(answer);
    const warning = find('[data-warning]');
    warning.hidden = !answer.unfamiliar;
    if (answer.unfamiliar) {
      const doubt = document.createElement('strong');
      doubt.textContent = words.say('unfamiliar');
      said.prepend(doubt, ' ');
      warning.textContent = [words.say('unfamiliar_why'), ...likeness(answer.familiarity)].join(' ');
    }
    const rows = answer.classes.map(([name, share]) => [name, share, answer.attention[name]]);
    showScores(find('[data-scores]'), rows, app);
    find('.abn-key').classList.toggle('abn-unsaid', answer.attention_label === null);
    const { rows: places } = answer.map;
    const small = words.say('small_print', {
      ms: Math.round(answer.milliseconds),
      name: answer.model.name,
      description: answer.model.description,
      rows: places.length,
      columns: places[0].length,
    });
    find('[data-knows]').textContent = known(answer.known);
    find('[data-small]').textContent = answer.unlent ? `${small} · ${answer.unlent}` : small;
    words.learn(answer.abilities.methods);
    panels.forEach((panel) => {
      panel.show(answer);
    });
  }

  /** How sure the notice is, where that was measured. */
  function likeness(familiarity) {
    if (typeof familiarity !== 'number') return [];
    const count = familiarity > 0 ? Math.min(99, Math.round(100 * (1 - familiarity))) : 100;
    return [words.say(count < 100 ? 'unfamiliar_share' : 'unfamiliar_all', { count })];
  }

  function sentence(answer) {
    if (answer.tasks) {
      const yes = answer.tasks.filter(([, share]) => share > 0.5).length;
      return words.say('tasks_answer', { yes, count: answer.tasks.length, name: words.named(answer.target || '') });
    }
    if (answer.attention_label === null) return words.say('rollout_answer');
    if (answer.attention_label === answer.label) return words.say('agrees');
    return words.say('disagrees', { label: words.named(answer.attention_label) });
  }

  // --- Asking: of several pictures in a row only the last is asked about
  async function ask(picture, chosen = {}) {
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    const preview = Boolean(picture.blob && !picture.pixels);
    stage.note(words.say(preview ? 'sending' : 'looking'));
    empty();
    try {
      const seen = pixelsOf(picture, app.server).then(() => {
        if (mine === asking && picture.pixels && stage.pixels !== picture.pixels) stage.show(picture.pixels);
      });
      const values = { view: app.view.view, preview, ...chosen };
      const [answer] = await Promise.all([app.askAbout(picture, 'explain', values, { signal: mine.signal }), seen]);
      if (mine !== asking) return;
      if (answer.error) return refuse(picture, `${answer.error}${answer.hint ? `. ${answer.hint}` : ''}`);
      if (!picture.pixels && answer.preview) await picture.see(answer.preview.url);
      if (mine !== asking) return;
      held = { picture, answer };
      app.answer = held;
      if (stage.pixels !== picture.pixels) stage.show(picture.pixels);
      stage.lay(answer.map);
      fill(answer);
      stage.note('');
    } catch (error) {
      if (mine !== asking) return;
      refuse(picture, app.reason(error));
    }
  }

  // What cannot be explained is named; what was there before it comes back, picture and answer together.
  function refuse(picture, why) {
    app.say(words.say('cannot_explain'), why);
    stage.note('');
    if (held && held.picture !== picture) {
      const before = held;
      app.show(before.picture, false);
      asking?.abort();
      asking = null;
      stage.show(before.picture.pixels);
      stage.lay(before.answer.map);
      stage.note('');
      fill(before.answer);
      return;
    }
    if (held) {
      stage.lay(held.answer.map);
      fill(held.answer);
    } else stage.note(words.say('stage_empty'), 'empty');
  }

  function take(picture) {
    for (const panel of panels) panel.reset();
    examples.mark(picture);
    stage.show(picture.pixels || examples.small(picture));
    return ask(picture);
  }

  const again = (chosen) => app.picture && ask(app.picture, chosen);
  const panels = [taskPanel(section, app, again), layerPanel(section, app, again), wirePad(section, (canvas) => app.choose(fromCanvas(canvas, 'digit.png')))];
  const examples = exampleRow(section, app, (id) => app.choose(fromServer('example', id)));

  // --- Details
  const colours = find('[data-colours]');
  colours.append(...Object.keys(app.colours).map((name) => new Option(words.say(`colours_${name}`), name)));
  colours.addEventListener('change', () => app.set({ colours: colours.value }));
  const stretch = find('[data-stretch]');
  stretch.addEventListener('change', () => app.set({ stretch: stretch.checked }));
  for (const radio of section.querySelectorAll('[data-view] input'))
    radio.addEventListener('change', () => {
      app.set({ view: radio.value });
      again();
    });
  function follow() {
    colours.value = app.view.colours;
    stretch.checked = app.view.stretch;
    for (const radio of section.querySelectorAll('[data-view] input')) radio.checked = radio.value === app.view.view;
  }
  app.follow((changed) => {
    follow();
    if ('model' in changed && app.picture) {
      for (const panel of panels) panel.reset();
      ask(app.picture);
    }
  });
  follow();

  // --- Corners, upload, camera
  const file = find('[data-file]');
  file.addEventListener('change', () => {
    const [chosen] = file.files;
    file.value = '';
    if (chosen) app.take(chosen);
  });
  const camera = wireCamera(section, app, (canvas) => app.choose(fromCanvas(canvas, 'camera.png')));
  const doing = {
    replace: () => file.click(),
    camera,
    fullscreen: () => stage.fullscreen(),
    save: () => stage.save(),
  };
  stage.corners.addEventListener('click', (event) => doing[event.target.closest('[data-do]')?.dataset.do]?.());
  find('[data-upload]').addEventListener('click', () => file.click());

  // --- Share
  find('[data-share]').addEventListener('click', async () => {
    const said = find('[data-shared]');
    if (!held) return;
    const { picture } = held;
    said.textContent = words.say('share_making');
    try {
      const answer = await app.askAbout(picture, 'share', {});
      if (answer.error) throw Object.assign(new Error(answer.error), { words: answer.error });
      const model = app.view.model || app.state.model.name;
      const view = { ...app.view, example: '', local: '', share: '', ...answer.source, model, tab: 'explain' };
      const link = `${location.origin}${location.pathname}${query(view, '', true)}`;
      const place = find('[data-link]');
      place.value = link;
      place.hidden = false;
      let copied = true;
      try {
        await navigator.clipboard.writeText(link);
      } catch {
        copied = false;
        place.focus();
        place.select();
      }
      if (held.picture === picture) said.textContent = `${copied ? words.say('copied') : ''} ${answer.words}`.trim();
    } catch (error) {
      said.textContent = app.reason(error);
    }
  });

  app.onState((state) => {
    examples.fill(state);
    find('[data-examples-note]').textContent = state.note;
    if (!held) find('[data-knows]').textContent = known(state.model.known);
    find('[data-share-about]').textContent = state.share_about;
    // another model answers by default than when the picture was explained
    if (held && !app.view.model && held.answer.model.name !== state.model.shown) again();
  });

  function known({ labels, count, tasks }) {
    const { classes } = app.state;
    if (count === classes.length && classes.every((name) => labels.includes(name))) return words.say('knows_these', { count });
    const more = count > labels.length ? `, ${words.say('knows_more', { count: count - labels.length })}` : '';
    return `${words.say(tasks ? 'knows_tasks' : 'knows_some', { count })} ${labels.map(words.named).join(', ')}${more}`;
  }

  app.onPicture(take);
  empty();
  return { shown: () => stage.place() };
}
