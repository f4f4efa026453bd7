// The network, in a worker of its own: the page scrolls while it thinks.
import { means } from './answers.js';
import { Missing, unpackedFile } from './files.js';
import { pixelValues, placeOf, planOf, smaller } from './preprocess.js';

const HELD = 8; // pictures whose features are kept for their edits
const PATIENT = { session: { intra_op: { allow_spinning: '0' } } }; // a thread without work leaves its core to others
const NEAR = 0.05; // of a logit: what half precision may change

let ort = null; // the runtime's module
let facts = null;
let see = null;
let perceive = null;
const held = new Map(); // key -> {features, logits}

const tensor = (values, shape) => new ort.Tensor('float32', values, shape);
const plain = ({ data, dims }) => ({ values: Float32Array.from(data), shape: [...dims] });

// Files, graphs, and a picture whose answer is known. The second graph's comes while the first is made ready.
// execution: {name, runtime: "webgpu" or "wasm", threads}. Raises Missing, or what the runtime raises.
async function load({ base, execution: { runtime, threads }, ...given }, report) {
  facts = given.facts;
  const got = {};
  const copies = [];
  const file = async (name) => {
    const { path, bytes } = facts.files[name];
    const found = await unpackedFile({ url: `${base}/${path}`, bytes }, given.kept, (many) => {
      got[name] = Math.min(many, bytes);
      report({ got: Object.values(got).reduce((sum, each) => sum + each, 0) });
    });
    copies.push(found.kept);
    return found.bytes;
  };
  const binary = file(runtime);
  const first = file('see');
  const second = binary.then(() => file('perceive'));
  for (const one of [first, second]) one.catch(() => {}); // each is waited for below
  ort = await module(`${base}/runtime/${runtime}.js`);
  const loader = `${base}/runtime/${runtime}-loader.js`;
  Object.assign(ort.env.wasm, { numThreads: threads, wasmBinary: await binary, wasmPaths: { mjs: loader } });
  ort.env.logLevel = 'error';
  const options = { executionProviders: [runtime], graphOptimizationLevel: 'all', extra: PATIENT };
  see = await ort.InferenceSession.create(await first, options);
  perceive = await ort.InferenceSession.create(await second, options);
  await prove(facts.proof);
  await Promise.all(copies);
}

async function module(url) {
  try {
    return await import(url);
  } catch (error) {
    throw new Missing(error.message);
  }
}

// proof: {side, logits}: what the network said of a picture of waves where it was exported.
async function prove({ side, logits }) {
  const waves = Float32Array.from({ length: 3 * side * side }, (_, i) => Math.sin(i / 7));
  const { features, attention_map: map } = await see.run({ pixel_values: tensor(waves, [1, 3, side, side]) });
  const said = (await perceive.run({ features, attention_map: map })).logits.data;
  if (!logits.every((logit, place) => Math.abs(said[place] - logit) < NEAR)) throw new Error('the network computes wrongly here');
}

// A picture's pixels -> all that the network makes of them. key: null for a camera's frame, which is not kept; side:
// pixels that the network is given of its shorter side, its own number if left out.
async function look({ key, rgba, size, view, side }) {
  const began = performance.now();
  const plan = planOf(size, view, side ? smaller(facts.processor, side) : facts.processor);
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
