// The classes as a table that can be sorted, and what was taken for what.
import { drawMap } from './maps.js';

const FIRST = 30; // classes that are shown at once

const COLUMNS = [
  { key: 'name', left: true },
  { key: 'mean', plain: true },
  { key: 'right', share: true },
  { key: 'pictures' },
  { key: 'taken', plain: true, left: true },
  { key: 'confidence', share: true },
  { key: 'differ', share: true },
  { key: 'border', ratio: true },
  { key: 'agreement', number: true },
  { key: 'unfamiliar', share: true },
];

export function showClasses(data, { page, words, whole, colours, made }) {
  const find = (selector) => page.querySelector(selector);
  const columns = COLUMNS.filter(({ key }) => {
    if (key === 'taken' || key === 'right') return data.known > 0;
    if (key === 'unfamiliar') return data.calibrated;
    return key === 'name' || data.classes.some((each) => each[key] !== null);
  });
  let sorted = { key: data.known ? 'right' : 'pictures', up: Boolean(data.known) };
  let all = data.classes.length <= FIRST;

  function cell({ key, share, ratio, number }, one) {
    const value = one[key];
    if (key === 'name') return made('th', words.named(value));
    const place = made('td');
    if (value === null) place.textContent = '–';
    else if (key === 'mean') {
      const canvas = made('canvas');
      canvas.width = canvas.height = 56;
      drawMap(canvas, value, colours);
      place.append(canvas);
    } else if (key === 'taken') place.textContent = `${words.named(value[0])} (${whole(value[1])})`;
    else if (share) {
      place.append(made('span', `${(100 * value).toFixed(1)} %`), made('i'));
      place.lastChild.style.setProperty('--share', value);
      place.className = 'sv-share';
    } else place.textContent = ratio ? `${value.toFixed(2)} ×` : number ? value.toFixed(2) : whole(value);
    return place;
  }

  function fill() {
    const way = sorted.up ? 1 : -1;
    const by = (one) => one[sorted.key] ?? Number.NEGATIVE_INFINITY;
    const list = [...data.classes].sort((one, other) => {
      if (sorted.key === 'name') return way * words.named(one.name).localeCompare(words.named(other.name));
      return way * (by(one) - by(other));
    });
    find('[data-rows]').replaceChildren(
      ...list.slice(0, all ? list.length : FIRST).map((one) => {
        const row = made('tr');
        row.append(
          ...columns.map((column) => {
            const place = cell(column, one);
            if (column.key === 'name') place.scope = 'row';
            if (column.left) place.classList.add('sv-left');
            return place;
          }),
        );
        return row;
      }),
    );
    find('[data-more]').hidden = all;
  }

  find('[data-classes]').hidden = !data.classes.length;
  find('[data-heads]').replaceChildren(
    ...columns.map((column) => {
      const head = made('th', '', column.left ? 'sv-left' : '');
      head.scope = 'col';
      const title = words.say(`column_${column.key}`);
      if (column.plain) {
        head.textContent = title;
        return head;
      }
      const button = made('button', title);
      button.type = 'button';
      button.title = words.say(`column_${column.key}_about`);
      button.addEventListener('click', () => {
        const again = sorted.key === column.key;
        sorted = { key: column.key, up: again ? !sorted.up : column.key === 'name' || column.key === 'right' };
        mark();
        fill();
      });
      head.append(button);
      head.dataset.key = column.key;
      return head;
    }),
  );
  function mark() {
    for (const head of page.querySelectorAll('[data-heads] th')) {
      if (head.dataset.key === sorted.key) head.setAttribute('aria-sort', sorted.up ? 'ascending' : 'descending');
      else head.removeAttribute('aria-sort');
    }
  }
  find('[data-more]').onclick = () => {
    all = true;
    fill();
  };
  mark();
  fill();
}

export function showConfusion(data, { page, words, whole, made }) {
  const find = (selector) => page.querySelector(selector);
  find('[data-confusion]').hidden = !data.confusions.length;
  find('[data-matrix-place]').hidden = !data.matrix;
  find('[data-pairs]').replaceChildren(
    ...data.confusions.slice(0, data.matrix ? 12 : 40).map(([truth, answer, count]) => {
      const item = made('li');
      item.append(made('span', words.named(truth)), made('span', `→ ${words.named(answer)}`), made('b', whole(count)));
      return item;
    }),
  );
  if (!data.matrix) return;
  const { names, columns, rows } = data.matrix;
  const head = made('tr');
  head.append(made('td'));
  head.append(
    ...columns.map((name) => {
      const place = made('th');
      place.scope = 'col';
      place.append(made('span', words.named(name)));
      return place;
    }),
  );
  const lines = names.map((name, line) => {
    const row = made('tr');
    const first = made('th', words.named(name));
    first.scope = 'row';
    const total = rows[line].reduce((sum, count) => sum + count, 0) || 1;
    row.append(
      first,
      ...rows[line].map((count, column) => {
        const place = made('td', count ? whole(count) : '');
        place.style.setProperty('--share', Math.sqrt(count / total));
        place.classList.toggle('sv-diagonal', columns[column] === name);
        place.title = `${words.named(name)} → ${words.named(columns[column])}: ${whole(count)}`;
        return place;
      }),
    );
    return row;
  });
  find('[data-matrix]').replaceChildren(head, ...lines);
}
