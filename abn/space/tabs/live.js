// One frame at a time: the next is taken when the answer to the last is there.
const find = (selector) => element.querySelector(selector);
const video = document.createElement('video');
video.muted = true; video.playsInline = true;
const sent = document.createElement('canvas');
let stream = null, running = 0, times = [];

function say(what) {
  for (const words of element.querySelectorAll('.abn-live-words')) words.hidden = words.dataset.say !== what;
  find('button').hidden = what !== 'refused' && what !== 'missing';
}
const visible = () => element.offsetParent !== null && !document.hidden;

async function start() {
  const mine = ++running;
  say('asking');
  try {
    const wanted = { video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: 'environment' } };
    if (!navigator.mediaDevices) throw new DOMException('', 'NotFoundError');
    const got = await navigator.mediaDevices.getUserMedia(wanted);
    if (mine !== running) { for (const track of got.getTracks()) track.stop(); return; }
    stream = got; video.srcObject = got;
    await video.play();
  } catch (error) {
    if (mine === running) say(error.name === 'NotAllowedError' ? 'refused' : 'missing');
    return;
  }
  times = [];
  while (mine === running) await frame(mine);
}
function stop() {
  running++;
  if (stream) { for (const track of stream.getTracks()) track.stop(); stream = null; video.srcObject = null; }
  times = []; say('stopped');
  find('.abn-live-rate').textContent = '';
}
async function frame(mine) {
  const scale = 256 / Math.min(video.videoWidth, video.videoHeight);
  sent.width = Math.round(video.videoWidth * scale); sent.height = Math.round(video.videoHeight * scale);
  sent.getContext('2d').drawImage(video, 0, 0, sent.width, sent.height);
  const model = document.querySelector('#abn-known [data-model]')?.dataset.model || '';
  let answer;
  try { answer = await server.explain_frame({ frame: sent.toDataURL('image/jpeg', 0.85), model }); }
  catch (error) { answer = { error: String(error.message || error) }; }
  if (mine !== running) return;
  if (answer.error) {
    find('.abn-live-rate').textContent = answer.error;
    await new Promise((wait) => setTimeout(wait, 1000));
    return;
  }
  const colours = new Image();
  colours.src = answer.colours;
  await colours.decode();
  if (mine !== running) return;
  const canvas = find('canvas');
  if (canvas.width !== sent.width || canvas.height !== sent.height) {
    canvas.width = sent.width; canvas.height = sent.height;
    find('.abn-live-stage').style.aspectRatio = sent.width + ' / ' + sent.height;
  }
  canvas.getContext('2d').drawImage(sent, 0, 0);
  find('img').src = colours.src;
  say('');
  find('ul').replaceChildren(...answer.classes.map(([name, share]) => {
    const row = document.createElement('li'), words = document.createElement('strong');
    const bar = document.createElement('i'), number = document.createElement('span');
    words.textContent = name; bar.style.width = 100 * share + '%'; number.textContent = (100 * share).toFixed(0) + ' %';
    const holder = document.createElement('span'); holder.append(bar);
    row.append(words, holder, number);
    return row;
  }));
  const now = performance.now();
  times = [...times.filter((time) => now - time < 2000), now];
  const rate = times.length > 1 ? 1000 * (times.length - 1) / (now - times[0]) : 0;
  const place = find('.abn-live-rate');
  place.dataset.frames = Number(place.dataset.frames || 0) + 1;
  place.textContent = rate.toFixed(0) + ' ' + find('.abn-live-unit').innerText.trim() + ' · '
    + answer.milliseconds.toFixed(0) + ' ms · ' + answer.model;
}
function follow() { if (visible() === Boolean(element.dataset.on)) return;
  if (visible()) { element.dataset.on = '1'; start(); } else { delete element.dataset.on; stop(); } }
find('button').addEventListener('click', start);
new ResizeObserver(follow).observe(element);
document.addEventListener('visibilitychange', follow);
follow();
