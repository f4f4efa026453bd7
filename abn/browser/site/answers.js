// What the page shows, made of the network's numbers: pure functions on arrays.

const SHOWN = 5; // classes of an answer
const FAINTEST = 1e-4; // root mean square of a map
const KNOWN = 20; // classes named as those that a model knows
export const METHODS = ['attention', 'attention-cam', 'grad-cam'];

export function softmax(logits, temperature) {
  const scaled = Array.from(logits, (logit) => logit / temperature);
  const most = Math.max(...scaled);
  const powers = scaled.map((value) => Math.exp(value - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** [[name, share], …], the surest first. */
export function ranked(labels, logits, temperature) {
  return softmax(logits, temperature)
    .map((share, place) => [labels[place], share])
    .sort((one, other) => other[1] - one[1]);
}

function energy(logits) {
  const most = Math.max(...logits);
  return most + Math.log(Array.from(logits, (logit) => Math.exp(logit - most)).reduce((sum, power) => sum + power, 0));
}

// The logarithm of a map's root mean square; see `abn.calibration.map_strength`.
function strength({ values }) {
  const squares = values.reduce((sum, value) => sum + value * value, 0);
  return Math.log(Math.max(Math.sqrt(squares / values.length), FAINTEST));
}

function score({ branches, map_weight: weight }, passed) {
  const both = branches === 'both' ? energy(passed.attentionLogits) : 0;
  return energy(passed.logits) + both + (weight ? weight * strength(passed.map) : 0);
}

/** Whether the picture looks like none of the classes; see `abn.calibration`. */
export function unfamiliar(calibration, passed) {
  const { energy_threshold: threshold } = calibration;
  return threshold !== null && score(calibration, passed) < threshold;
}

/** The share of the pictures that calibrated which look less familiar, 0 to 1; null where that is not known. */
export function familiarity(calibration, passed) {
  const { energies } = calibration;
  if (!energies) return null;
  const own = score(calibration, passed);
  const place = energies.findIndex((energy) => energy >= own);
  if (place <= 0) return place === 0 ? 0 : 1;
  const [low, high] = energies.slice(place - 1, place + 1);
  return (place - 1 + (own - low) / (high - low)) / (energies.length - 1);
}

/** The means over places of (K, h, w) numbers, of each of K. */
export function means({ values, shape }) {
  const places = shape.at(-1) * shape.at(-2);
  return Array.from({ length: values.length / places }, (_, k) => {
    let sum = 0;
    for (let i = k * places; i < (k + 1) * places; i++) sum += values[i];
    return sum / places;
  });
}

/** Class k's map of (K, h, w) class activations: the positive part over its maximum, as `abn.methods.scaled`. */
export function scaledCam({ values, shape }, k) {
  const [height, width] = shape.slice(-2);
  const map = Float32Array.from(values.subarray(k * height * width, (k + 1) * height * width), (value) => Math.max(0, value));
  const most = Math.max(...map);
  return { values: most > 0 ? map.map((value) => value / most) : map, shape: [height, width] };
}

export function rowsOf({ values, shape }) {
  const [height, width] = shape.slice(-2);
  return Array.from({ length: height }, (_, y) => Array.from(values.subarray(y * width, (y + 1) * width)));
}

/** A method's map and the class that it is of, null where every class has the same. */
export function mapOf(method, passed, place, labels) {
  if (method === 'attention') return [{ values: passed.map.values, shape: passed.map.shape.slice(-2) }, null];
  return [scaledCam(method === 'grad-cam' ? passed.cams : passed.attentionCams, place), labels[place]];
}

/** A map as Compare's cards take it: float32 numbers in base64. */
export function packed({ values, shape }) {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { shape, floats: btoa(String.fromCharCode(...bytes)) };
}

export const knownBy = ({ labels }) => ({ labels: labels.slice(0, KNOWN), count: labels.length, tasks: false });

export const ABILITIES = {
  tasks: false,
  layers: 0,
  heads: 0,
  pad: false,
  uneditable: '',
  methods: METHODS.map((name) => ({ name, label: name, usual: true, slow: false })),
};

/** What Explain shows. model: {name, description}. */
export function explained(facts, passed, model) {
  const { labels, calibration } = facts;
  const classes = ranked(labels, passed.logits, calibration.temperature).slice(0, SHOWN);
  const own = ranked(labels, passed.attentionLogits, calibration.attention_temperature);
  const shares = Object.fromEntries(own);
  return {
    label: classes[0][0],
    target: null,
    classes,
    attention: Object.fromEntries(classes.map(([name]) => [name, shares[name]])),
    attention_label: own[0][0],
    unfamiliar: unfamiliar(calibration, passed),
    familiarity: familiarity(calibration, passed),
    map: { rows: rowsOf(passed.map), ...passed.place },
    milliseconds: passed.milliseconds,
    model,
    known: knownBy(facts),
    abilities: ABILITIES,
  };
}

/** What Edit shows: each class's share after and before, by the greater of both. */
export function beside(facts, before, after) {
  const { labels, calibration } = facts;
  const [then, now] = [before, after].map((logits) => ranked(labels, logits, calibration.temperature));
  const [was, is] = [then, now].map(Object.fromEntries);
  const both = (name) => [name, is[name], was[name]];
  const greater = (name) => Math.max(was[name], is[name]);
  const order = then.map(([name]) => name).sort((one, other) => greater(other) - greater(one));
  return { classes: order.slice(0, SHOWN).map(both), first: both(then[0][0]), now: both(now[0][0]) };
}
