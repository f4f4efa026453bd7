// Model: which network it is, where it runs, and what was loaded for it.
export function mount(section, app) {
  const { words, server } = app;
  const find = (selector) => section.querySelector(selector);

  async function fill() {
    const facts = await server.facts;
    find('[data-model-name]').textContent = facts.name || words.say('bundled_name');
    const { threads } = server.network;
    const values = { arch: facts.arch, parameters: (facts.parameters / 1e6).toFixed(1), threads };
    find('[data-model-description]').textContent = threads ? words.say('browser_described', values) : words.say('looking');
    const bytes = Object.values(facts.files).reduce((sum, file) => sum + file.bytes, 0);
    find('[data-model-bytes]').textContent = words.say('browser_bytes', { all: (bytes / 1e6).toFixed(1) });
  }

  app.onState(fill);
  return { shown: fill };
}
