// Model: which network it is, where it runs, and what was loaded for it.
import { whereOf } from '../frames.js';

export function mount(section, app) {
  const { words, server } = app;
  const find = (selector) => section.querySelector(selector);

  async function fill() {
    const facts = await server.facts;
    find('[data-model-name]').textContent = facts.name || words.say('bundled_name');
    const where = whereOf(server.network, words);
    const values = { arch: facts.arch, parameters: (facts.parameters / 1e6).toFixed(1), where };
    find('[data-model-description]').textContent = where ? words.say('browser_described', values) : words.say('looking');
    const { execution } = server.network;
    const all = execution ? (server.network.bytes(execution) / 1e6).toFixed(1) : '';
    find('[data-model-bytes]').textContent = where ? words.say('browser_bytes', { all }) : '';
  }

  app.onState(fill);
  return { shown: fill };
}
