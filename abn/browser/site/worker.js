// The network, in a worker of its own: the page scrolls while it thinks.
import { Missing, unpackedFile } from './files.js';
import { pixelValues, placeOf, planOf } from './preprocess.js';
import { means } from './answers.js';
import * as ort from './runtime/ort.js';

const HELD = 8; // pictures whose features are kept for their edits
const NEAR = 0.05; // of a logit: what half precision may change

let facts = null;
let see = null;
let perceive = null;
const held = new Map(); // key -> {features, logits}

const tensor = (values, shape) => new ort.Tensor('float32', values, shape);
const plain = ({ data, dims }) => ({ values: Float32Array.from(data), shape: [...dims] });

// All files at once; then the graphs, and a picture whose answer is known. Raises Missing, or what the runtime raises.
async function load({ base, threads, ...given }, report) {
  facts = given.facts;
  const got = {};
  const files = Object.entries(facts.files).map(async ([name, { path, bytes }]) => {
    const told = (many) => {
      got[name] = Math.min(many, bytes);
      report({ got: Object.values(got).reduce((sum, each) => sum + each, 0) });
    };
    return [name, await unpackedFile({ url: `${base}/${path}`, bytes }, given.kept, told)];
  });
  const bytes = Object.fromEntries(await Promise.all(files));
  Object.assign(ort.env.wasm, { numThreads: threads, wasmBinary: bytes.runtime, wasmPaths: { mjs: `${base}/runtime/ort-wasm.js` } });
  ort.env.logLevel = 'error';
  const options = { executionProviders: ['wasm'], graphOptimizationLevel: 'all' };
  see = await ort.InferenceSession.create(bytes.see, options);
  perceive = await ort.InferenceSession.create(bytes.perceive, options);
  await prove(facts.proof);
  return { threads };
}

// proof: {side, logits}: what the network said of a picture of waves where it was exported.
async function prove({ side, logits }) {
  const waves = Float32Array.from({ length: 3 * side * side }, (_, i) => Math.sin(i / 7));
  const { features, attention_map: map } = await see.run({ pixel_values: tensor(waves, [1, 3, side, side]) });
  const said = (await perceive.run({ features, attention_map: map })).logits.data;
  if (!logits.every((logit, place) => Math.abs(said[place] - logit) < NEAR)) throw new Error('the network computes wrongly here');
}

// A picture's pixels -> all that the network makes of them. key: null for a camera's frame, which is not kept.
async function look({ key, rgba, size, view }) {
  const began = performance.now();
  const plan = planOf(size, view, facts.processor);
  const pixels = tensor(pixelValues(new Uint8ClampedArray(rgba), plan, facts.processor), [1, 3, ...plan.crop]);
  const { features, attention_map: map, attention_cams: attentionCams } = await see.run({ pixel_values: pixels });
  const { logits, cams } = await perceive.run({ features, attention_map: map });
  if (key !== null) {
    held.set(key, features);
    if (held.size > HELD) held.delete(held.keys().next().value);
  }
  const found = { map: plain(map), attentionCams: plain(attentionCams), cams: plain(cams), logits: [...logits.data] };
  return { ...found, attentionLogits: means(found.attentionCams), place: placeOf(plan), milliseconds: performance.now() - began };
}

// Logits under another map; null where the features are no longer here.
async function ask({ key, map, shape }) {
  const features = held.get(key);
  if (!features) return null;
  const { logits } = await perceive.run({ features, attention_map: tensor(Float32Array.from(map), shape) });
  return [...logits.data];
}

const doing = { load, look, ask };

self.addEventListener('message', async ({ data: { id, name, values } }) => {
  try {
    self.postMessage({ id, answer: await doing[name](values, (progress) => self.postMessage({ id, progress })) });
  } catch (error) {
    self.postMessage({ id, error: String(error?.message || error), missing: error instanceof Missing });
  }
});
