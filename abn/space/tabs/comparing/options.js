// What Compare is asked for: the methods that the model knows, the class to explain, curves or none.
export function options(section, app, changed) {
  const { words } = app;
  const list = section.querySelector('[data-methods]');
  const target = section.querySelector('[data-target]');
  const curves = section.querySelector('[data-curves]');
  let known = []; // [{name, usual, slow}]
  let of = ''; // the model whose methods these are
  let named = ''; // the model whose classes are there to choose from

  function fillMethods(methods, model) {
    of = model;
    if (methods.map((each) => each.name).join() === known.map((each) => each.name).join()) return;
    const ticked = known.length ? chosen() : null;
    const kept = ticked?.filter((name) => methods.some((each) => each.name === name));
    known = methods;
    list.replaceChildren(
      ...known.map(({ name, usual, slow }) => {
        const label = section.querySelector('template[data-template=method]').content.cloneNode(true).firstElementChild;
        const box = label.querySelector('input');
        box.value = name;
        box.checked = kept?.length ? kept.includes(name) : usual;
        label.querySelector('span').textContent = words.method(name);
        label.querySelector('small').hidden = !slow;
        return label;
      }),
    );
  }

  // The model's own, ticked as they usually are.
  function fillTargets(labels, tasks, model) {
    const before = named === model ? target.value : '';
    named = model;
    const names = labels.map((name) => new Option(words.named(name), name));
    target.replaceChildren(new Option(words.say('compare_predicted'), ''), ...names);
    target.value = labels.includes(before) ? before : '';
    section.querySelector('[data-target-name]').textContent = words.say(tasks ? 'compare_task' : 'compare_target');
  }

  // The order in which the server works: quick ones first.
  function chosen() {
    const ticked = [...list.querySelectorAll('input:checked')].map((box) => box.value);
    const slow = (name) => known.find((each) => each.name === name).slow;
    return [...ticked.filter((name) => !slow(name)), ...ticked.filter(slow)];
  }

  list.addEventListener('change', changed);
  target.addEventListener('change', changed);
  curves.addEventListener('change', changed);
  fillTargets([], false, '');

  return {
    chosen,
    fillMethods,
    fillTargets,
    get target() {
      return target.value;
    },
    get curves() {
      return curves.checked;
    },
    knows: (model) => of === model,
    names: (model) => named === model,
    // Another model: its classes are not the last one's.
    forget(model) {
      if (named && named !== model) fillTargets([], false, '');
    },
  };
}
