// The page: its tabs, what the visitor has chosen, and the picture that all tabs share.
import { connect } from './ask.js';
import { chosenLanguage, loadWords } from './locale/words.js';
import { arrive, leave } from './models.js';
import { fromFile, fromServer, fromSession, pixelsOf, Refused } from './pictures.js';
import { fit } from './room.js';
import { query, read } from './view.js';
import { coloursOf } from './widgets/stage/paint.js';

const BUSY = [429, 503]; // of HTTP: the server has no room
const SETTLING = 1500; // milliseconds between looks at what still changes on the server

class App {
  constructor(element, root, base) {
    this.root = element.querySelector('[data-abn]');
    this.below = `${root}/gradio_api/abn`;
    this.base = base;
    this.server = connect(root);
    this.listeners = { view: [], picture: [], state: [] };
    this.tabs = {};
    this.picture = null;
    this.picking = 0;
    this.coming = ''; // a model that the address names, until it is there
    this.said = ''; // of it, meanwhile
    this.shown = {}; // what the page calls models that were chosen
    this.elsewhere = null; // {name, where}: what answers the open tab, where that is another than the page's
    this.offered = new Set();
  }

  find = (selector) => this.root.querySelector(selector);

  // A copy of what a template of the frame holds.
  template(name) {
    return this.root.querySelector(`template[data-template=${name}]`).content.cloneNode(true);
  }

  // --- What the visitor has chosen
  follow = (listener) => this.listeners.view.push(listener);
  onPicture = (listener) => this.listeners.picture.push(listener);
  onState = (listener) => {
    this.listeners.state.push(listener);
    if (this.state) listener(this.state);
  };

  set(changed, push = false) {
    Object.assign(this.view, changed);
    this.address(push);
    if ('model' in changed && this.state) this.chip();
    for (const listener of this.listeners.view) listener(changed);
  }

  address(push = false) {
    const search = query(this.view, location.search);
    if (search === location.search) return;
    history[push ? 'pushState' : 'replaceState'](null, '', `${location.pathname}${search}`);
    // On huggingface.co the page lies in a frame; the address that a visitor sees is the host's
    if (window.parent !== window && location.hostname.endsWith('.hf.space'))
      window.parent.postMessage({ queryString: search.slice(1) }, 'https://huggingface.co');
  }

  // What every question to the server says.
  get asking() {
    return { language: this.words.language, model: this.coming ? '' : this.view.model };
  }

  // Ask about a picture, by `name`; sends it first where the server has it not, or no longer. One that is in this very
  // browser (`here`) takes the picture itself.
  async askAbout(picture, name, values, options = {}) {
    const report = options.report && ((answer) => options.report(this.heard(answer)));
    const asked = async () => {
      const source = this.server.here ? picture : await picture.sent(this.server, options.signal);
      return this.server.ask(name, { ...this.asking, ...values, picture: source }, { ...options, report });
    };
    try {
      const answer = await asked();
      return this.heard(answer?.gone && picture.forgotten() ? await asked() : answer);
    } catch (error) {
      if (BUSY.includes(error.status)) this.offer(this.reason(error));
      throw error;
    }
  }

  // --- Where the server has no room, or no GPU for it, there is the page that needs none
  heard(answer) {
    if (answer?.unlent) this.offer(answer.unlent);
    return answer;
  }

  // why: in words; each is said once.
  offer(why) {
    const link = this.find('[data-run-here]');
    if (!this.state?.in_browser || this.offered.has(why)) return;
    this.offered.add(why);
    this.say(why);
    link.href = this.beside(this.state.in_browser.page);
    link.hidden = false;
  }

  // The address of a file of that page.
  beside = (path) => `${this.below}/${path}`;

  // --- The picture
  async choose(making, push = true) {
    const mine = ++this.picking;
    let picture;
    try {
      picture = await making;
    } catch (error) {
      if (mine === this.picking) this.say(this.words.say('cannot_explain'), this.reason(error));
      return;
    }
    if (mine !== this.picking || !picture) return;
    this.show(picture, push);
  }

  show(picture, push = true) {
    this.picture = picture;
    const source = picture.source || {};
    const named = { example: source.example || '', share: source.share || '', local: source.example || source.share ? '' : picture.local };
    Object.assign(this.view, named);
    this.address(push);
    for (const listener of this.listeners.picture) listener(picture);
  }

  reason(error) {
    if (error instanceof Refused) return this.words.say(error.key, error.values);
    if (error.status === 413) return this.words.say('picture_bytes_any');
    if (error.status === 429 || error.status === 503) return error.words || this.words.say('busy');
    return error.words || this.words.say(error.status === 0 || error instanceof TypeError ? 'offline' : 'failed');
  }

  // A message that nothing else on the page would show.
  say(title, words = '') {
    const toast = this.find('[data-toast]');
    toast.querySelector('p').textContent = words ? `${title}: ${words}` : title;
    toast.hidden = false;
    clearTimeout(this.told);
    this.told = setTimeout(() => this.unsay(), 12000);
  }

  unsay() {
    this.find('[data-toast]').hidden = true;
    this.find('[data-run-here]').hidden = true;
  }

  // What answers the open tab: {name, where} in words; null for the page's own model.
  answering(elsewhere) {
    this.elsewhere = elsewhere;
    if (this.state) this.chip();
  }

  // --- Tabs
  async open(name, push = true) {
    for (const tab of this.root.querySelectorAll('[role=tab]')) {
      const on = tab.dataset.tab === name;
      tab.setAttribute('aria-selected', String(on));
      tab.tabIndex = on ? 0 : -1;
      this.find(`#abn-${tab.dataset.tab}`).hidden = !on;
    }
    const before = this.view.tab;
    this.set({ tab: name }, push && before !== name);
    if (before !== name) (await this.tabs[before]?.catch(() => null))?.hidden?.();
    this.tabs[name] ||= import(`./tabs/${name}.js`).then((module) => module.mount(this.find(`#abn-${name}`), this));
    try {
      const tab = await this.tabs[name];
      if (this.view.tab === name) tab.shown?.();
    } catch (error) {
      delete this.tabs[name]; // the next press tries again
      console.error(error);
      this.say(this.reason(error));
    }
  }

  wireTabs() {
    const list = this.find('[role=tablist]');
    list.addEventListener('click', (event) => {
      const tab = event.target.closest('[role=tab]');
      if (tab) this.open(tab.dataset.tab);
    });
    list.addEventListener('keydown', (event) => {
      const all = [...list.querySelectorAll('[role=tab]')];
      const at = all.indexOf(document.activeElement);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const tab = all[(to + all.length) % all.length];
      tab.focus();
      this.open(tab.dataset.tab);
    });
    this.find('[data-chip]').addEventListener('click', () => this.open('model'));
    this.find('[data-toast] button').addEventListener('click', () => this.unsay());
  }

  // --- A picture dropped or pasted anywhere
  wireDrop() {
    const zone = this.find('[data-drop]');
    const holds = (event) => [...(event.dataTransfer?.types || [])].includes('Files');
    let inside = 0;
    document.addEventListener('dragenter', (event) => {
      if (!holds(event)) return;
      inside += 1;
      zone.hidden = false;
    });
    document.addEventListener('dragleave', (event) => {
      if (holds(event) && --inside <= 0) zone.hidden = true;
    });
    document.addEventListener('dragover', (event) => {
      if (holds(event)) event.preventDefault();
    });
    document.addEventListener('drop', (event) => {
      inside = 0;
      zone.hidden = true;
      const [file] = event.dataTransfer?.files || [];
      if (!file) return;
      event.preventDefault();
      this.take(file);
    });
    document.addEventListener('paste', (event) => {
      const [file] = event.clipboardData?.files || [];
      if (!file || event.target.closest?.('input, textarea')) return;
      event.preventDefault();
      this.take(file);
    });
  }

  // A visitor's file: it is shown under Explain unless a tab that works on the picture is open.
  take(file) {
    if (['gallery', 'live', 'model'].includes(this.view.tab)) this.open('explain');
    return this.choose(fromFile(file));
  }

  // --- What the server says of itself
  async look() {
    try {
      this.state = await this.server.state(this.words.language);
    } catch {
      setTimeout(() => this.look(), 4 * SETTLING);
      return;
    }
    this.words.learn(this.state.abilities.methods);
    this.chip();
    for (const listener of this.listeners.state) listener(this.state);
    if (!this.state.settled) setTimeout(() => this.look(), SETTLING);
  }

  chip() {
    const { model } = this.state;
    const own = this.asking.model && this.view.model !== model.name;
    const { name, where } = this.elsewhere || {};
    this.find('[data-chip-name]').textContent = name || (own ? this.shown[this.view.model] || this.view.model : model.shown);
    this.find('[data-chip-where]').textContent = where || '';
    this.find('[data-dot]').dataset.state = own ? 'ready' : model.state;
    const notice = this.find('[data-notice]');
    const words = own ? '' : this.said || model.notice;
    this.find('[data-chip]').title = words ? '' : this.words.say('model_answers');
    notice.textContent = words;
    for (const each of this.root.querySelectorAll('[data-notice-too]')) each.textContent = words;
    this.find('[data-chip-share]').textContent = own || !model.share ? '' : this.words.percent(model.share);
  }

  // The picture that the address asks for, else the one that opens the page.
  async restore() {
    const mine = ++this.picking;
    const { example, share, local } = this.view;
    let picture = local ? await fromSession(local) : null;
    if (!picture && share) picture = fromServer('share', share);
    if (!picture && example) picture = fromServer('example', example);
    if (picture) {
      try {
        await pixelsOf(picture, this.server);
      } catch (error) {
        if (mine === this.picking) this.say(this.words.say('share'), this.reason(error));
        picture = null;
      }
    }
    if (mine !== this.picking) return; // another was chosen meanwhile
    this.show(picture || fromServer('example', this.state.opening), false);
    if (!picture) Object.assign(this.view, { example: '' });
    this.address();
  }
}

// The page's own icon, drawn: a browser asks for a file's again whenever the address changes.
function icon() {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 32;
  const context = canvas.getContext('2d');
  const glow = context.createRadialGradient(16, 16, 2, 16, 16, 15);
  for (const [at, colour] of [[0, '#d00000'], [0.45, '#ffd500'], [0.75, '#00c8ff'], [1, '#4338ca']]) glow.addColorStop(at, colour);
  context.fillStyle = glow;
  context.beginPath();
  context.arc(16, 16, 15, 0, 2 * Math.PI);
  context.fill();
  for (const link of document.querySelectorAll('link[rel~=icon]')) link.remove();
  const link = document.createElement('link');
  link.rel = 'icon';
  link.href = canvas.toDataURL();
  document.head.append(link);
}

// Gives the page's App.
export async function start(element, root, base) {
  const app = new App(element, root, base);
  const [words, tables] = await Promise.all([
    loadWords(base, chosenLanguage(app.root.dataset.languages.split(' '))),
    fetch(`${base}/colours.json`).then((answer) => answer.json()),
    fit(app.root),
  ]);
  app.words = words;
  document.documentElement.lang = words.language;
  app.colours = Object.fromEntries(Object.entries(tables).map(([name, text]) => [name, coloursOf(text)]));
  app.view = read(location.search, Object.keys(tables));
  app.coming = app.view.model;
  words.fill(app.root);
  document.title = app.root.querySelector('.abn-claim').textContent; // an owner may have named the page
  icon();
  app.wireTabs();
  app.wireDrop();
  window.addEventListener('popstate', () => {
    const before = app.view;
    app.view = read(location.search, Object.keys(tables));
    leave(app);
    app.chip();
    for (const listener of app.listeners.view) listener(app.view);
    if (app.view.tab !== before.tab) app.open(app.view.tab, false);
    if (['example', 'share', 'local'].some((name) => app.view[name] !== before[name])) app.restore();
  });
  const tab = app.find(`#abn-${app.view.tab}`) ? app.view.tab : 'explain';
  app.view.tab = 'explain';
  await Promise.all([app.look(), app.open('explain', false)]);
  app.root.dataset.worded = '';
  await arrive(app);
  await app.restore();
  if (tab !== 'explain') app.open(tab, false);
  app.root.dataset.ready = '';
  return app;
}
