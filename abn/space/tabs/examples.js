// The row of examples: one of each class, or more of one.
export function exampleRow(section, app, open) {
  const row = section.querySelector('[data-examples]');
  let shown = '';
  let of = null; // the class of which there is more
  let at = '';

  function cards(list, state) {
    const key = list.map((each) => each.id).join() + of;
    if (key === shown) return;
    shown = key;
    row.replaceChildren(
      ...list.map((example) => {
        const card = section.querySelector('template[data-template=example]').content.cloneNode(true).firstElementChild;
        const button = card.querySelector('[data-open]');
        button.dataset.id = example.id;
        const name = app.words.named(example.label);
        card.querySelector('img').src = app.server.picture('example', example.id, true);
        card.querySelector('span').textContent = example.drawn ? `${name} ${app.words.say('drawn')}` : name;
        button.addEventListener('click', () => open(example.id));
        const more = card.querySelector('[data-more]');
        more.hidden = !of && (state.more[example.label] || 0) < 2;
        more.textContent = app.words.say(of ? 'examples_all' : 'examples_more');
        more.title = of ? more.textContent : app.words.say('examples_more_of', { name });
        more.setAttribute('aria-label', more.title);
        more.addEventListener('click', () => choose(of ? null : example.label));
        return card;
      }),
    );
    outline();
  }

  async function choose(label) {
    of = label;
    if (!label) return cards(app.state.examples, app.state);
    const answer = await app.server.ask('examples', { ...app.asking, label });
    if (of === label && answer.examples) cards(answer.examples, app.state);
  }

  function outline() {
    const all = [...row.children];
    for (const card of all) {
      const button = card.querySelector('[data-open]');
      button.setAttribute('aria-pressed', String(button.dataset.id === at));
    }
    reach(all.find((card) => card.querySelector('[aria-pressed=true]')) || all[0]);
  }

  // The row is one stop of the Tab key, and its card's "more" another; arrows lead to the other cards.
  function reach(to) {
    for (const card of row.children)
      for (const button of card.querySelectorAll('button')) button.tabIndex = card === to ? 0 : -1;
  }

  row.addEventListener('keydown', (event) => {
    const all = [...row.children];
    const from = all.indexOf(event.target.closest('.abn-example'));
    const to = all[{ ArrowRight: from + 1, ArrowLeft: from - 1, Home: 0, End: all.length - 1 }[event.key]];
    if (!to) return;
    event.preventDefault();
    reach(to);
    to.querySelector('[data-open]').focus();
  });

  return {
    fill: (state) => !of && cards(state.examples, state),
    // A picture of the row as it stands there: seen until the whole one has come.
    small(picture) {
      const [image] = [...row.querySelectorAll('[data-open]')]
        .filter((button) => button.dataset.id === picture.source?.example)
        .map((button) => button.querySelector('img'));
      if (!image?.complete || !image.naturalWidth) return null;
      const canvas = document.createElement('canvas');
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      canvas.getContext('2d').drawImage(image, 0, 0);
      return canvas;
    },
    mark(picture) {
      at = picture.source?.example || '';
      outline();
    },
  };
}
