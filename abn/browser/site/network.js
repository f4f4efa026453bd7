// The network as the page asks it: a worker, on WebGPU where there is an adapter, else on WebAssembly with as many threads
// as the browser lends, else with one. Each must prove itself; where it fails, now or later, the next takes over.

const MOST_THREADS = 4;
const PATIENCE = 30000; // milliseconds without a sign of life from WebGPU's start: drivers may hang

export class Broken extends Error {
  // missing: a file did not come, rather than that the browser cannot compute.
  constructor(words, missing = false) {
    super(words);
    this.missing = missing;
  }
}

async function adapter() {
  try {
    return Boolean(await Promise.race([navigator.gpu?.requestAdapter(), new Promise((done) => setTimeout(done, PATIENCE / 10))]));
  } catch {
    return false;
  }
}

// What can be tried here, the best first: {name, runtime, threads}.
async function executions(has) {
  const found = [];
  if (await has) found.push({ name: 'webgpu', runtime: 'webgpu', threads: 1 });
  const threads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
  if (threads > 1) found.push({ name: 'threads', runtime: 'wasm', threads });
  return [...found, { name: 'single', runtime: 'wasm', threads: 1 }];
}

export class Network {
  constructor(base) {
    this.base = base;
    this.waiting = new Map(); // id -> {done, fail, report}
    this.count = 0;
    this.seen = new WeakMap(); // picture -> {view: its promise}
    this.execution = null; // the one that is used
    this.others = []; // those that are left to take over
    this.adapter = adapter(); // asked for while the facts come, and the worker begins
    this.open();
  }

  // Bytes of what an execution needs, as they are fetched.
  bytes({ runtime }) {
    return ['see', 'perceive', runtime].reduce((sum, name) => sum + this.facts.files[name].bytes, 0);
  }

  // report: is called with {got, all}, bytes. Raises Broken.
  async start(facts, report) {
    this.facts = facts;
    this.others = await executions(this.adapter);
    await this.next(report);
  }

  async next(report) {
    while (this.others.length) {
      const execution = this.others.shift();
      try {
        await this.bring(execution, report);
        this.execution = execution;
        return;
      } catch (error) {
        this.close();
        if (!this.others.length || (error.missing && execution.runtime === 'wasm')) throw error;
        console.info(`${execution.name}: ${error.message}`);
      }
    }
  }

  async bring(execution, report) {
    if (!this.worker) this.open();
    this.seen = new WeakMap(); // what the worker before held is gone
    const all = this.bytes(execution);
    let alive = performance.now();
    const told = ({ got }) => {
      alive = performance.now();
      report?.({ got, all });
    };
    const values = { base: this.base, kept: `abn ${this.base}`, facts: this.facts, execution };
    const late = () => execution.name === 'webgpu' && performance.now() - alive > PATIENCE;
    const watch = setInterval(() => late() && this.close(new Broken('it does not answer')), 1000);
    try {
      await this.post('load', values, [], told);
    } finally {
      clearInterval(watch);
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

  // Do some work; where it fails, once more with whatever takes over.
  async surely(work) {
    const { execution } = this;
    try {
      return await work();
    } catch (error) {
      if (this.execution === execution && this.others.length && !this.successor) {
        console.info(`${execution.name}: ${error.message}`);
        this.close();
        this.successor = this.next().finally(() => {
          this.successor = null;
        });
      }
      if (!this.successor && this.execution === execution) throw error;
      await this.successor;
      return work();
    }
  }

  // What the network makes of a picture: once for all that ask. canvas: its pixels.
  look(picture, view) {
    const views = this.seen.get(picture) || {};
    this.seen.set(picture, views);
    views[view] ||= this.pass(picture.pixels, view, { key: `${++this.count} ${view}` }).catch((error) => {
      delete views[view];
      throw error;
    });
    return views[view];
  }

  // key: null for what is not kept. side: of the network's input, in place of the network's own.
  pass(canvas, view, { key = null, side } = {}) {
    const { width, height } = canvas;
    return this.surely(async () => {
      const { data } = canvas.getContext('2d', { willReadFrequently: true }).getImageData(0, 0, width, height);
      const passed = await this.post('look', { key, rgba: data.buffer, size: [height, width], view, side }, [data.buffer]);
      return { ...passed, key };
    });
  }

  // Logits of a picture under another map: rows of numbers.
  under(picture, view, rows) {
    const shape = [1, 1, rows.length, rows[0].length];
    const asked = async () => this.post('ask', { key: (await this.look(picture, view)).key, map: rows.flat(), shape });
    return this.surely(async () => {
      const logits = await asked();
      if (logits) return logits;
      delete this.seen.get(picture)?.[view]; // the worker has its features no longer
      return asked();
    });
  }
}
