// The page's questions, answered in this browser: what the Space's ask.js is on the other side of a server.
import { ABILITIES, beside, explained, knownBy, mapOf, METHODS, packed, ranked, rowsOf } from './answers.js';
import { Frames, whereOf } from './frames.js';
import { Loading } from './loading.js';
import { loadWords } from './locale/words.js';
import { Network } from './network.js';
import { pixelsOf } from './pictures.js';

export class Failed extends Error {
  // words: for the visitor. status: 0 where nothing answered, as of HTTP otherwise.
  constructor(words, status = 0) {
    super(words);
    this.words = words;
    this.status = status;
  }
}

// base: where the page's files lie.
export function connect(base) {
  const network = new Network(base);
  const facts = fetch(`${base}/facts.json`).then((answer) => answer.json());
  const catalogues = {};
  const wordsOf = (language) => {
    catalogues[language] ||= loadWords(base, language);
    return catalogues[language];
  };
  const loading = new Loading(network, facts, wordsOf);

  const shownName = (known, words) => known.name || words.say('bundled_name');
  const modelOf = (known, words) => ({ name: shownName(known, words), description: words.say('browser_described', described(known, words)) });
  const described = (known, words) => ({
    arch: known.arch,
    parameters: (known.parameters / 1e6).toFixed(1),
    where: whereOf(network, words),
  });

  // What the network makes of a picture. Raises Failed, Refused.
  async function looked(picture, view, words) {
    await pixelsOf(picture, server);
    if (!picture.pixels) throw new Failed(words.say('picture_unreadable', { name: picture.name }));
    await loading.done;
    return network.look(picture, view);
  }

  const asks = {
    async explain({ picture, view }, words, known) {
      return explained(known, await looked(picture, view, words), modelOf(known, words));
    },
    async edit({ picture, view, map }, words, known) {
      const passed = await looked(picture, view, words);
      if (map) return beside(known, passed.logits, await network.under(picture, view, map));
      const own = { map: { rows: rowsOf(passed.map), ...passed.place }, ...beside(known, passed.logits, passed.logits) };
      const label = known.examples.find(({ id }) => id === picture.source?.example)?.label;
      return { ...own, labels: known.labels, truth: known.labels.includes(label) ? label : null };
    },
    async compare({ picture, view, target, methods }, words, known, report) {
      const passed = await looked(picture, view, words);
      const [[surest]] = ranked(known.labels, passed.logits, 1);
      const name = known.labels.includes(target) ? target : surest;
      const place = known.labels.indexOf(name);
      const names = METHODS.filter((method) => !methods || methods.includes(method));
      const shared = passed.milliseconds;
      report?.({ target: name, methods: names, known: ABILITIES.methods, tasks: false, shared, labels: known.labels, ...passed.place });
      for (const method of names) {
        const began = performance.now();
        const [map, of] = mapOf(method, passed, place, known.labels);
        report?.({ method, target: of, milliseconds: performance.now() - began, map: packed(map) });
      }
      return { done: true, notes: [] };
    },
    async examples({ label }, _words, known) {
      return { examples: known.examples.filter((example) => example.label === label) };
    },
    async share({ picture }, words) {
      const { example } = picture.source || {};
      return { source: example ? { example } : {}, words: words.say(example ? 'share_link_example' : 'browser_link') };
    },
    async use({ name }, words, known) {
      if (name !== known.name) return { error: words.say('browser_one_model') };
      return { name, shown: shownName(known, words) };
    },
  };

  async function ask(name, values, { signal, report } = {}) {
    signal?.throwIfAborted();
    const words = await wordsOf(values.language);
    try {
      if (!(name in asks)) throw new Failed(words.say('browser_not_here'));
      const told = report && ((answer) => signal?.aborted || report(answer));
      const answer = await asks[name](values, words, await facts, told);
      signal?.throwIfAborted();
      return answer;
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof Failed || error.key) throw error;
      throw new Failed(words.say('browser_failed', { reason: error.message }));
    }
  }

  // A camera's frame: a canvas.
  let frames = null;
  async function frame(canvas, { language }) {
    const [words, known] = await Promise.all([wordsOf(language), facts]);
    await loading.done;
    frames ||= new Frames(network, known);
    return { ...(await frames.explain(canvas)), model: shownName(known, words) };
  }

  // As the Space's server says it of itself.
  async function state(language) {
    const [words, known] = await Promise.all([wordsOf(language), facts]);
    const firsts = known.examples.filter((one, place, all) => all.findIndex((other) => other.label === one.label) === place);
    const many = (label) => known.examples.filter((example) => example.label === label).length;
    return {
      settled: loading.state !== 'loading',
      model: {
        name: known.name,
        shown: shownName(known, words),
        state: loading.state,
        share: loading.state === 'loading' ? loading.share : 0,
        notice: '',
        known: knownBy(known),
      },
      abilities: ABILITIES,
      examples: firsts,
      classes: firsts.map(({ label }) => label),
      more: Object.fromEntries(firsts.map(({ label }) => [label, many(label)])),
      opening: known.opening,
      note: '',
      corrections: false,
      share_about: words.say('browser_link_about'),
    };
  }

  // here: the network is in this browser; it takes the page's pictures themselves. loaded: a promise that it is there.
  const picture = (kind, id, small = false) => `${base}/${kind}s/${encodeURIComponent(id)}${small ? '.small' : ''}.jpg`;
  const server = { here: true, ask, frame, picture, state, facts, network, loaded: loading.done };
  return server;
}
