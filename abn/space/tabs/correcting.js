// Corrections under Edit: what was painted is kept, listed, removed, and downloaded as one zip.
import { correctionOf, packed } from '../widgets/corrections/correction.js';
import { keeper } from '../widgets/corrections/kept.js';
import { percent } from '../widgets/scores/scores.js';

// wanted: gives {edits, frame, picture, model, said} of what is edited, or null.
export function correcting(section, app, wanted) {
  const { words } = app;
  const find = (selector) => section.querySelector(selector);
  const [right, keep, status, list] = ['right', 'keep', 'kept-status', 'kept'].map((name) => find(`[data-${name}]`));
  const store = keeper();
  const asking = { language: words.language };
  let of = ''; // the model whose classes there are to choose from
  let refreshed = 0;

  // --- The class that it should be
  function fill({ labels, truth, first }, model) {
    if (labels) {
      of = model;
      right.replaceChildren(...labels.map((name) => new Option(words.named(name), name)));
    }
    right.value = truth ?? first[0];
    status.textContent = '';
    changed();
    refresh();
  }

  function changed() {
    keep.disabled = !wanted()?.edits.tells;
    right.disabled = !wanted();
  }

  // --- Keeping one: a picture has one correction of a model, the latest
  async function kept() {
    const { edits, frame, picture, model, said } = wanted();
    const id = `${model}\n${picture.key}`;
    keep.disabled = true;
    status.textContent = '';
    try {
      const more = { id, model, name: picture.name, right: right.value, said, at: new Date().toISOString() };
      const one = await correctionOf(picture.pixels, edits.told, frame, more);
      const before = (await mine(model)).find((each) => each.id === id);
      const trouble = await written(one, before);
      const { put, lasting } = await store;
      await put(one);
      await refresh();
      status.textContent = trouble || words.say(lasting ? 'correct_kept' : 'correct_kept_briefly');
    } catch (error) {
      status.textContent = words.say('correct_failed', { reason: app.reason(error) });
    }
    changed();
  }

  // On the server's own disk as well, where it has a folder for it; gives what went wrong.
  async function written(one, before) {
    if (!app.state.corrections) return '';
    try {
      if (before?.written) await app.server.leave('correction', before.written, asking);
      const { name } = await app.server.post('correction', await packed([one]), asking);
      one.written = name;
      return '';
    } catch (error) {
      return words.say('correct_unwritten', { reason: app.reason(error) });
    }
  }

  async function removed(one) {
    status.textContent = '';
    try {
      if (one.written && app.state.corrections) await app.server.leave('correction', one.written, asking);
      await (await store).remove(one.id);
      await refresh();
      status.textContent = words.say('correct_removed');
    } catch (error) {
      status.textContent = words.say('correct_failed', { reason: app.reason(error) });
    }
    (find('[data-kept] button') || find('[data-right]')).focus();
  }

  // --- The list: the model's in use, the latest first
  async function mine(model) {
    const all = await (await store).all();
    return all.filter((one) => one.model === model).sort((one, other) => (one.at < other.at ? 1 : -1));
  }

  async function refresh() {
    refreshed += 1;
    const turn = refreshed;
    const all = await mine(wanted()?.model || of);
    if (turn !== refreshed) return;
    find('[data-kept-panel]').hidden = !all.length;
    find('[data-kept-count]').textContent = words.say('correct_count', { count: all.length });
    list.replaceChildren(...all.map(row));
  }

  function row(one) {
    const item = app.template('kept').firstElementChild;
    const [name, before] = item.querySelectorAll('span');
    item.querySelector('img').src = one.small;
    name.textContent = words.named(one.right);
    before.textContent = words.say('correct_said', { label: words.named(one.said[0]), share: percent(one.said[1]) });
    const button = item.querySelector('button');
    const what = words.say('correct_remove_of', { name: words.named(one.right), picture: one.name });
    button.title = what;
    button.setAttribute('aria-label', what);
    button.addEventListener('click', () => removed(one));
    return item;
  }

  async function download() {
    const all = (await mine(wanted()?.model || of)).reverse();
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await packed(all));
    link.download = 'corrections.zip';
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  keep.addEventListener('click', kept);
  find('[data-kept-download]').addEventListener('click', download);
  return { fill, changed, refresh, names: (model) => of === model };
}
