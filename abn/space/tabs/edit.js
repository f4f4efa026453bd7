// Edit: paint on the attention map, and see what the perception branch makes of it.
import { pixelsOf } from '../pictures.js';
import { Edits, VALUES } from '../widgets/editor/edits.js';
import { Marks } from '../widgets/editor/marks.js';
import { percent, showScores } from '../widgets/scores/scores.js';
import { Stage } from '../widgets/stage/stage.js';
import { correcting } from './correcting.js';

export function mount(section, app) {
  const { words } = app;
  const find = (selector) => section.querySelector(selector);
  const stage = new Stage(find('[data-place=stage]'), app);
  const brush = find('[data-brush]');
  const tools = find('[data-tools]');
  let at = null; // {picture, model, view}: what is edited
  let edits = null;
  let frame = null; // where the map lies
  let said = null; // [name, share]: the answer under the model's own map
  let control = null; // of the questions about this picture
  let next = null; // the newest map that waits until the last one is answered
  let under = false; // whether one is under way
  let painted = 0; // a frame of the screen in which a stroke's map will be drawn
  const marks = new Marks(stage, words.say('edit_canvas'), {
    reach: () => (Number(brush.value) - 1) / 2,
    value: () => VALUES[find('[data-tool] input:checked').value],
    moved: painting,
    done: changed,
  });

  const corrections = correcting(section, app, () => edits && at && { edits, frame, said, picture: at.picture, model: at.model });

  // --- The picture's own map
  const key = () => ({ picture: app.picture, model: app.view.model || app.state.model.name, view: app.view.view });

  function look() {
    if (!app.picture || !app.state) return;
    const now = key();
    if (at && Object.keys(now).every((name) => at[name] === now[name])) return;
    control?.abort();
    at = null;
    if (!section.hidden) open(now);
  }

  async function open(now) {
    at = now;
    const mine = new AbortController();
    [control, edits, next] = [mine, null, null];
    busy(false);
    empty();
    try {
      await pixelsOf(now.picture, app.server);
      if (mine !== control) return;
      if (now.picture.pixels && !stage.pixels) stage.show(now.picture.pixels);
      const values = { view: now.view, preview: !now.picture.pixels, labels: !corrections.names(now.model) };
      const answer = await app.askAbout(now.picture, 'edit', values, { signal: mine.signal });
      if (mine === control && answer.preview) await now.picture.see(answer.preview.url);
      if (mine === control) await opened(answer, now.picture);
    } catch (error) {
      if (mine === control) refuse(app.reason(error));
    }
  }

  function empty() {
    tools.disabled = true;
    marks.show(null);
    stage.show(at.picture.pixels);
    stage.note(words.say('looking'));
    find('[data-change]').replaceChildren(words.say('looking'));
    showScores(find('[data-scores]'), [], app);
    corrections.changed();
  }

  function opened(answer, picture) {
    if (answer.error) return refuse(answer.error);
    if (stage.pixels !== picture.pixels) stage.show(picture.pixels);
    if (answer.uneditable) return refuse(answer.uneditable);
    const { rows, ...where } = answer.map;
    frame = where;
    edits = new Edits(rows);
    said = [answer.first[0], answer.first[2]];
    tools.disabled = false;
    stage.note('');
    redraw();
    marks.show(edits);
    fill(answer);
    corrections.fill(answer, at.model);
  }

  // Nothing can be edited, and why.
  function refuse(why) {
    stage.note(why, 'empty');
    find('[data-change]').replaceChildren(small(why));
    if (!at) return;
    control = null;
  }

  // --- An edit
  function redraw() {
    stage.lay({ rows: edits.rows.map((row) => row.map((value) => Math.max(0, value))), ...frame });
    marks.draw();
  }

  // During a stroke. Where the network is in this browser, it is asked meanwhile.
  function painting() {
    if (!painted) {
      painted = requestAnimationFrame(() => {
        painted = 0;
        if (edits) redraw();
      });
    }
    if (!app.server.here) return;
    next = edits.rows;
    if (!under) ask();
  }

  function changed() {
    redraw();
    find('[data-do=undo]').disabled = !edits.past.length;
    corrections.changed();
    next = edits.rows;
    if (!under) ask();
  }

  // Ask about the newest map; those before it that have not been asked about are dropped.
  async function ask() {
    const mine = control;
    busy(true);
    try {
      while (next && mine === control) {
        const map = next.map((row) => row.slice());
        next = null;
        const answer = await app.askAbout(at.picture, 'edit', { view: at.view, map }, { signal: mine.signal });
        if (mine !== control) return;
        if (answer.error) throw Object.assign(new Error(answer.error), { words: answer.error });
        fill(answer);
      }
    } catch (error) {
      if (mine === control) find('[data-change]').replaceChildren(small(words.say('edit_failed', { reason: app.reason(error) })));
    } finally {
      if (mine === control) busy(false);
    }
  }

  function busy(on) {
    under = on;
    find('[data-change]').setAttribute('aria-busy', String(on));
  }

  // --- Before and after
  function small(text) {
    const element = document.createElement('small');
    element.textContent = text;
    return element;
  }

  function fill({ classes, first, now }) {
    const [name, after, before] = first;
    const touched = edits.past.length > 0;
    const sentence = touched ? `${words.named(name)} ${percent(before)} → ${percent(after)}` : `${words.named(name)} ${percent(before)}`;
    const more = now[0] !== name ? `${words.named(now[0])} ${percent(now[2])} → ${percent(now[1])}` : '';
    find('[data-change]').replaceChildren(sentence, small(touched ? more : words.say('edit_unchanged')));
    showScores(find('[data-scores]'), classes, app);
  }

  const doing = {
    undo: () => edits.undo(),
    invert: () => edits.invert(),
    clear: () => edits.clear(),
    reset: () => edits.reset(),
    hide_object: () => edits.object(true),
    only_object: () => edits.object(false),
  };

  function act(name) {
    if (!edits || !(name in doing)) return;
    if (doing[name]() !== false) changed();
  }

  tools.addEventListener('click', (event) => act(event.target.closest('[data-do]')?.dataset.do));
  brush.addEventListener('input', () => marks.draw());
  document.addEventListener('keydown', (event) => {
    if (app.view.tab !== 'edit' || event.key.toLowerCase() !== 'z' || !(event.ctrlKey || event.metaKey) || event.shiftKey) return;
    if (event.target.closest?.('input[type=text], textarea')) return;
    event.preventDefault();
    act('undo');
  });
  app.onPicture(look);
  app.onState(look);
  app.follow((now) => ('model' in now || 'view' in now) && look());
  return {
    shown() {
      look();
      marks.draw();
      corrections.refresh();
    },
  };
}
