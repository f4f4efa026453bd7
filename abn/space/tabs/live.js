// Live: the camera, explained frame by frame, on this device where the network can be brought here, else by the server. A
// frame and its map are drawn together; the next one is asked about when the answer to the last is there.
import { Device } from '../device.js';
import { openCamera, whyNot } from '../widgets/camera/open.js';
import { percent } from '../widgets/scores/scores.js';
import { unpacked } from '../widgets/stage/packed.js';
import { Stage } from '../widgets/stage/stage.js';

const SHORT = 256; // pixels, a frame's shorter side
const QUALITY = 0.8;
const PATIENCE = 1000; // milliseconds before a refused frame's next
const SPAN = 2000; // milliseconds over which frames are counted
const MEGABYTE = 1e6;
const megabytes = (bytes) => (bytes / MEGABYTE).toFixed(1);

export function mount(section, app) {
  const { words } = app;
  const stage = new Stage(section.querySelector('[data-place=live]'), app);
  stage.box.append(app.template('live'));
  stage.corners.append(app.template('live-stop'));
  const find = (selector) => section.querySelector(selector);
  const off = find('[data-off]');
  const list = find('[data-live-answer]');
  const rate = find('[data-rate]');
  const video = document.createElement('video');
  video.muted = true;
  video.playsInline = true;
  const device = new Device(app);
  let running = null; // of the camera that is on: its end
  let times = [];
  rate.dataset.frames = 0;

  stage.show(null);

  function tell(key, values = {}) {
    find('[data-live-words]').textContent = words.say(key, values);
  }

  // --- Where frames are explained
  const here = () => Boolean(app.server.here) || device.wanted;

  function sayWhere() {
    find('[data-live-about]').textContent = words.say(here() ? 'live_about_here' : 'live_about');
    if (section.hidden || app.server.here || !app.state?.in_browser) return app.answering(null);
    if (device.answers) app.answering({ name: device.named, where: words.say('on_this_device') });
    else app.answering(device.wanted ? null : { where: words.say('on_the_server') });
  }

  // The network on this device, once the tab is open.
  async function bring() {
    sayWhere();
    if (!device.wanted || device.engine) return;
    await device.bring(({ got, all }) => {
      rate.textContent = got < all ? words.say('live_loading', { got: megabytes(got), all: megabytes(all) }) : '';
    });
    rate.textContent = '';
    sayWhere();
  }

  async function start() {
    stop();
    const mine = new AbortController();
    running = mine;
    find('[data-start]').disabled = true;
    tell('live_asking');
    let camera = null;
    try {
      camera = await openCamera({ width: { ideal: 640 }, height: { ideal: 480 } });
      const end = () => {
        for (const track of camera.getTracks()) track.stop();
      };
      if (mine.signal.aborted) return end();
      mine.signal.addEventListener('abort', end);
      camera.getVideoTracks()[0].addEventListener('ended', () => mine === running && stop('live_missing'));
      video.srcObject = camera;
      await video.play();
    } catch (error) {
      if (mine === running) stop(whyNot(error));
      return;
    }
    find('[data-start]').disabled = false;
    find('[data-stop]').hidden = false;
    tell('live_first');
    find('[data-start]').hidden = true;
    await bring();
    if (!mine.signal.aborted) film(mine.signal);
  }

  // why: the key of what is said.
  function stop(why = 'live_stopped') {
    running?.abort();
    running = null;
    video.srcObject = null;
    times = [];
    stage.show(null);
    list.hidden = true;
    off.hidden = false;
    find('[data-start]').hidden = false;
    find('[data-start]').disabled = false;
    find('[data-stop]').hidden = true;
    rate.textContent = '';
    tell(why);
  }

  // A frame onto a canvas and to what explains it: {answer}, or {error}.
  async function send(canvas, signal) {
    const scale = SHORT / Math.min(video.videoWidth, video.videoHeight);
    const [width, height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    canvas.getContext('2d', { willReadFrequently: here() }).drawImage(video, 0, 0, width, height);
    try {
      const answer = await explained(canvas, signal);
      return answer.error ? { error: { words: answer.error } } : { answer };
    } catch (error) {
      return { error };
    }
  }

  async function explained(canvas, signal) {
    if (app.server.here) return app.server.frame(canvas, app.asking);
    if (device.answers) {
      const answer = await device.frame(canvas);
      if (answer) return answer;
      sayWhere();
    }
    return posted(canvas, signal);
  }

  async function posted(canvas, signal) {
    const blob = await new Promise((done) => canvas.toBlob(done, 'image/jpeg', QUALITY));
    return app.server.post('frame', blob, app.asking, signal);
  }

  // The next frame is on its way while the last one is painted. One that was refused is said, and the next waits.
  async function film(signal) {
    let [here, next] = [document.createElement('canvas'), document.createElement('canvas')];
    let sent = send(here, signal);
    while (!signal.aborted) {
      const { answer, error } = await sent;
      if (signal.aborted) return;
      if (error) {
        rate.textContent = app.reason(error);
        await new Promise((done) => setTimeout(done, PATIENCE));
        if (signal.aborted) return;
      }
      sent = send(next, signal);
      if (answer) fill(here, answer);
      [here, next] = [next, here];
    }
  }

  function fill(canvas, answer) {
    stage.pixels = canvas;
    stage.lay(unpacked(answer.map));
    off.hidden = true;
    list.hidden = false;
    while (list.children.length < answer.classes.length) list.append(app.template('live-class'));
    for (const [place, [name, share]] of answer.classes.entries()) {
      const [label, number] = list.children[place].children;
      label.textContent = words.named(name);
      number.textContent = percent(share);
    }
    while (list.children.length > answer.classes.length) list.lastElementChild.remove();
    const now = performance.now();
    times = [...times.filter((time) => now - time < SPAN), now];
    const seconds = (now - times[0]) / 1000;
    const values = { rate: seconds ? Math.round((times.length - 1) / seconds) : 0, ms: Math.round(answer.milliseconds), model: app.elsewhere ? words.say('live_where', { model: answer.model, where: app.elsewhere.where }) : answer.model };
    rate.textContent = words.say('live_rate', values);
    rate.dataset.frames = Number(rate.dataset.frames) + 1;
  }

  find('[data-start]').addEventListener('click', start);
  find('[data-stop]').addEventListener('click', () => {
    stop();
    find('[data-start]').focus();
  });
  const leave = () => running && stop();
  document.addEventListener('visibilitychange', () => document.hidden && leave());
  window.addEventListener('pagehide', leave);
  tell('live_ready');
  app.onState(sayWhere);
  app.follow((now) => 'model' in now && sayWhere());

  return {
    shown() {
      stage.place();
      bring();
    },
    hidden() {
      leave();
      app.answering(null);
    },
  };
}
