// A camera's frames, explained in this browser: for the page without a server, and for a server's page beside which this
// folder lies.
import { ranked, rowsOf } from './answers.js';
import { Network } from './network.js';

const SHOWN = 3; // classes
const BUDGET = 50; // milliseconds a frame; where it takes longer, the network is given a smaller one
const SIDES = [160, 128]; // pixels of its shorter side
const LOOKED_AT = 7; // frames, whose middle time counts
const WARM = 5; // frames that do not count: code is still being made faster
const ROOM = 3; // how many times shorter it must take before frames become larger again

export class Frames {
  constructor(network, facts) {
    const { crop, size } = facts.processor;
    const own = (crop || size)?.shortest_edge || Math.min(...Object.values(crop || size || { side: 0 }));
    Object.assign(this, { network, facts, sides: [undefined, ...SIDES.filter((side) => side < own)], at: 0, times: [], seen: 0 });
  }

  async explain(canvas) {
    const { labels, calibration } = this.facts;
    const passed = await this.network.pass(canvas, 'whole', { side: this.sides[this.at] });
    this.fit(passed.milliseconds);
    return {
      classes: ranked(labels, passed.logits, calibration.temperature).slice(0, SHOWN),
      map: { rows: rowsOf(passed.map), ...passed.place },
      milliseconds: passed.milliseconds,
    };
  }

  // As large as the device explains them in time.
  fit(milliseconds) {
    this.seen += 1;
    if (this.seen <= WARM) return;
    this.times.push(milliseconds);
    if (this.times.length < LOOKED_AT) return;
    const middle = this.times.sort((one, other) => one - other)[LOOKED_AT >> 1];
    this.times = [];
    if (middle > BUDGET && this.at < this.sides.length - 1) this.at += 1;
    else if (middle < BUDGET / ROOM && this.at > 0) this.at -= 1;
  }
}

// What computes, in words; "" where nothing does yet.
export function whereOf({ execution }, words) {
  if (!execution) return '';
  return execution.runtime === 'webgpu' ? words.say('browser_webgpu') : words.say('browser_wasm', { threads: execution.threads });
}

// For a server's page: brings the network of the folder `base`. report: see `Network.start`. Raises Broken, TypeError.
export async function bring(base, report) {
  const facts = await (await fetch(`${base}/facts.json`)).json();
  const network = new Network(base);
  await network.start(facts, report);
  const frames = new Frames(network, facts);
  return { name: facts.name, where: (words) => whereOf(network, words), frame: (canvas) => frames.explain(canvas) };
}
