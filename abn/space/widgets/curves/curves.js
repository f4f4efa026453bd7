// Insertion and deletion curves of a map: a drawing for a card, and a larger one in a dialog.

const [WIDE, HIGH] = [100, 60]; // of the drawing's own units

function path(values) {
  const across = (place) => ((WIDE * place) / (values.length - 1)).toFixed(2);
  const points = values.map((value, place) => `${across(place)} ${(HIGH * (1 - value)).toFixed(2)}`);
  return `M${points.join('L')}`;
}

// curves: {insertion, deletion, areas}; section: where the template lies.
export function drawing(section, curves, words) {
  const svg = section.querySelector('template[data-template=curves]').content.cloneNode(true).firstElementChild;
  svg.querySelector('.abn-insertion').setAttribute('d', path(curves.insertion));
  svg.querySelector('.abn-deletion').setAttribute('d', path(curves.deletion));
  svg.setAttribute('aria-label', areasOf(curves, words).slice(0, 2).join(', '));
  return svg;
}

// Insertion, deletion and their difference, in words.
export function areasOf({ areas: [insertion, deletion] }, words) {
  return [
    `${words.say('compare_insertion')} ${insertion.toFixed(2)}`,
    `${words.say('compare_deletion')} ${deletion.toFixed(2)}`,
    words.say('compare_difference', { value: signed(insertion - deletion) }),
  ];
}

// 0.32, −0.05
export function signed(value) {
  return value < 0 ? `−${(-value).toFixed(2)}` : value.toFixed(2);
}

export function largeCurves(section, words) {
  const dialog = section.querySelector('[data-large]');
  const find = (name) => dialog.querySelector(`[data-${name}]`);
  find('close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  return (name, target, curves) => {
    find('large-name').textContent = name;
    find('large-share').textContent = words.say('compare_axis_share', { name: target });
    find('large-place').replaceChildren(drawing(section, curves, words));
    const [insertion, deletion, difference] = areasOf(curves, words);
    find('insertion').textContent = insertion;
    find('deletion').textContent = deletion;
    find('difference').textContent = difference;
    dialog.showModal();
  };
}
