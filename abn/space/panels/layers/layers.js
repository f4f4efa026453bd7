// Which layer's and head's attention of a Vision Transformer is shown, or a rollout.
const ROLLOUTS = ['rollout', 'gradient-rollout'];

export function layerPanel(section, app, ask) {
  const { words } = app;
  const panel = section.querySelector('[data-panel=layers]');
  const layer = panel.querySelector('[data-layer]');
  const head = panel.querySelector('[data-head]');
  let made = '';

  const counted = (count) => [...Array(count).keys()].map((each) => String(each + 1));

  function options({ layers, heads }) {
    const key = `${layers} ${heads}`;
    if (key === made) return;
    made = key;
    layer.replaceChildren(
      ...ROLLOUTS.map((name) => new Option(words.method(name), name)),
      ...counted(layers).map((number) => new Option(words.say('vit_layer_number', { number }), number)),
    );
    head.replaceChildren(new Option(words.say('vit_all_heads'), 'all'), ...counted(heads).map((number) => new Option(number, number)));
  }

  for (const each of [layer, head]) {
    each.addEventListener('change', () => ask({ layer: layer.value, head: head.value }));
  }
  return {
    show({ abilities }) {
      panel.hidden = !abilities.layers;
      if (abilities.layers) options(abilities);
      head.disabled = ROLLOUTS.includes(layer.value);
    },
    reset() {
      made = '';
      layer.replaceChildren();
      head.replaceChildren();
    },
  };
}
