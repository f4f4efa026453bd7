// Bringing the network into the browser: how far it is, what went wrong, and once more.
import { chosenLanguage } from './locale/words.js';

const MEGABYTE = 1e6;
const megabytes = (bytes) => (bytes / MEGABYTE).toFixed(1);

export class Loading {
  // facts: a promise. state: "loading", "ready" or "refused"; share: 0 to 1. done: a promise that waits for another try
  // where one fails.
  constructor(network, facts, wordsOf) {
    Object.assign(this, { network, facts, wordsOf, state: 'loading', share: 0 });
    this.done = new Promise((done) => {
      this.finished = done;
    });
    this.root = document.querySelector('[data-abn]');
    this.line = this.root.querySelector('[data-loading]');
    this.line.querySelector('button').addEventListener('click', () => {
      this.facts.then(
        () => this.bring(),
        () => location.reload(),
      );
    });
    this.bring();
  }

  async bring() {
    const words = await this.wordsOf(chosenLanguage(this.root.dataset.languages.split(' ')));
    const find = (selector) => this.line.querySelector(selector);
    this.line.hidden = false;
    find('button').hidden = true;
    find('progress').hidden = false;
    this.state = 'loading';
    try {
      await this.network.start(await this.facts, ({ got, all }) => {
        this.share = got / all;
        find('progress').value = this.share;
        const key = got < all ? 'browser_loading' : 'browser_starting';
        find('p').textContent = words.say(key, { got: megabytes(got), all: megabytes(all) });
      });
      this.state = 'ready';
      this.line.hidden = true;
      this.finished();
    } catch (error) {
      this.state = 'refused';
      console.warn(error.message);
      find('progress').hidden = true;
      find('button').hidden = false;
      find('p').textContent = words.say(error.missing ?? true ? 'browser_missing' : 'browser_cannot');
    }
  }
}
