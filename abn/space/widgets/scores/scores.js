// Classes with their confidences as bars; a second, thin bar is another opinion, or what it was before.

// list: the element. rows: [name, share, second share or null]. What it shows changes in place: nothing jumps.
export function showScores(list, rows, app, count = 5) {
  while (list.children.length < count) list.append(app.template('score'));
  for (const [place, item] of [...list.children].entries()) {
    const row = rows[place];
    item.classList.toggle('abn-unsaid', !row);
    const [name, share, second] = row || ['', 0, null];
    const [first, other] = item.querySelectorAll('i');
    item.querySelector('.abn-score-name').textContent = row ? app.words.named(name) : '\u00a0';
    item.querySelector('.abn-score-share').textContent = row ? percent(share) : '';
    first.style.width = `${100 * share}%`;
    other.hidden = second === null || second === undefined;
    other.style.width = `${100 * (second || 0)}%`;
  }
}

// 99 %, 0.4 %, < 0.1 %
export function percent(share) {
  const value = 100 * share;
  if (value > 0 && value < 0.1) return '< 0.1 %';
  return `${value >= 1 || value === 0 ? Math.round(value) : value.toFixed(1)} %`;
}
