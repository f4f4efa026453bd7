// A multi-task network's answers as buttons: a click shows that task's map, or one part of it.
export function taskPanel(section, app, ask) {
  const panel = section.querySelector('[data-panel=tasks]');
  const list = panel.querySelector('[data-tasks]');
  const parts = [...panel.querySelectorAll('[data-part] input')];
  let task = '';

  const part = () => parts.find((each) => each.checked)?.value || 'positive';

  list.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (!button) return;
    task = button.dataset.task;
    ask({ task, part: part() });
  });
  for (const each of parts) each.addEventListener('change', () => ask({ task, part: part() }));

  return {
    show({ tasks, target }) {
      panel.hidden = !tasks;
      if (!tasks) return;
      const focused = list.contains(document.activeElement) ? document.activeElement.dataset.task : null;
      list.replaceChildren(
        ...tasks.map(([name, share]) => {
          const button = document.createElement('button');
          button.type = 'button';
          button.dataset.task = name;
          button.setAttribute('aria-pressed', String(name === target));
          button.style.setProperty('--share', `${100 * share}%`);
          const [label, value] = [document.createElement('span'), document.createElement('span')];
          label.textContent = app.words.named(name);
          value.textContent = app.words.percent(share);
          button.append(label, value);
          return button;
        }),
      );
      if (focused !== null) [...list.children].find((each) => each.dataset.task === focused)?.focus();
    },
    reset() {
      task = '';
      parts[0].checked = true;
    },
  };
}
