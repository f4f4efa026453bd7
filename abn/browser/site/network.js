// The network as the page asks it: a worker, brought up with as many threads as the browser lends, else with one.

const MOST_THREADS = 4;

export class Broken extends Error {
  // missing: a file did not come, rather than that the browser cannot compute.
  constructor(words, missing = false) {
    super(words);
    this.missing = missing;
  }
}

export class Network {
  constructor(base) {
    this.base = base;
    this.waiting = new Map(); // id -> {done, fail, report}
    this.count = 0;
    this.seen = new WeakMap(); // picture -> {view: its promise}
  }

  // report: is called with {got, all}, bytes. Raises Broken.
  async start(facts, report) {
    this.facts = facts;
    const all = Object.values(facts.files).reduce((sum, file) => sum + file.bytes, 0);
    const values = { base: this.base, kept: `abn ${this.base}`, facts };
    const most = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
    for (const threads of most > 1 ? [most, 1] : [1]) {
      this.open();
      try {
        await this.post('load', { ...values, threads }, [], ({ got }) => report({ got, all }));
        this.threads = threads;
        return;
      } catch (error) {
        this.close();
        if (threads === 1 || error.missing) throw error;
      }
    }
  }

  open() {
    this.worker = new Worker(`${this.base}/worker.js`, { type: 'module' });
    this.worker.addEventListener('message', ({ data: { id, answer, error, missing, progress } }) => {
      const waiting = this.waiting.get(id);
      if (progress) return waiting?.report?.(progress);
      this.waiting.delete(id);
      if (error === undefined) waiting?.done(answer);
      else waiting?.fail(new Broken(error, missing));
    });
    this.worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.close(new Broken(event.message || 'the worker did not start', !event.message));
    });
  }

  close(error = new Broken('closed')) {
    this.worker?.terminate();
    this.worker = null;
    for (const { fail } of this.waiting.values()) fail(error);
    this.waiting.clear();
  }

  post(name, values, transfer = [], report = null) {
    if (!this.worker) return Promise.reject(new Broken('closed'));
    const id = ++this.count;
    return new Promise((done, fail) => {
      this.waiting.set(id, { done, fail, report });
      this.worker.postMessage({ id, name, values }, transfer);
    });
  }

  // What the network makes of a picture: once for all that ask. canvas: its pixels.
  look(picture, view) {
    const views = this.seen.get(picture) || {};
    this.seen.set(picture, views);
    views[view] ||= this.pass(picture.pixels, view, `${++this.count} ${view}`).catch((error) => {
      delete views[view];
      throw error;
    });
    return views[view];
  }

  async pass(canvas, view, key = null) {
    const { width, height } = canvas;
    const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
    const passed = await this.post('look', { key, rgba: data.buffer, size: [height, width], view }, [data.buffer]);
    return { ...passed, key };
  }

  // Logits of a picture under another map: rows of numbers.
  async under(picture, view, rows) {
    const shape = [1, 1, rows.length, rows[0].length];
    const asked = async () => this.post('ask', { key: (await this.look(picture, view)).key, map: rows.flat(), shape });
    const logits = await asked();
    if (logits) return logits;
    delete this.seen.get(picture)[view]; // the worker has its features no longer
    return asked();
  }
}
