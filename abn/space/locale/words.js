// The page's words in the visitor's language: one catalogue, and the elements that it fills.

// ?lang=, else the browser's own first choice of those there are; the first of them otherwise.
export function chosenLanguage(languages, query = new URLSearchParams(location.search)) {
  const wanted = [query.get('lang') || '', ...(navigator.languages || [navigator.language || ''])];
  const known = wanted.map((each) => each.toLowerCase().split(/[-_]/)[0]).find((each) => languages.includes(each));
  return known || languages[0];
}

export async function loadWords(base, language) {
  const answer = await fetch(`${base}/locale/${language}.json`);
  if (!answer.ok) throw new Error(`no words for ${language}`);
  return wordsOf(await answer.json(), language);
}

export function wordsOf(catalogue, language) {
  // A key's words with its {fields} filled.
  const say = (key, values = {}) =>
    (catalogue[key] ?? key).replace(/\{(\w+)(?::[^}]*)?\}/g, (whole, name) => values[name] ?? whole);
  const labels = {}; // of methods
  return {
    language,
    say,
    has: (key) => key in catalogue,
    // A class's name: those of Imagenette are translated, others stand as the checkpoint has them.
    named: (label) => catalogue[`class_${label}`] ?? label,
    // A method's name: the catalogue's, else what the server calls it.
    method: (name) => catalogue[`method_${name}`] ?? labels[name] ?? name,
    learn(methods) {
      for (const { name, label } of methods) labels[name] = label;
    },
    percent: (share) => `${Math.round(100 * share)} %`,
    fill(root) {
      for (const each of root.querySelectorAll('[data-word]')) each.textContent = say(each.dataset.word);
      for (const each of root.querySelectorAll('[data-word-label]')) {
        each.setAttribute('aria-label', say(each.dataset.wordLabel));
        if (each.matches('button')) each.title = say(each.dataset.wordLabel);
      }
      for (const each of root.querySelectorAll('template')) this.fill(each.content);
    },
  };
}
