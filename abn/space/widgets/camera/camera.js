// A photograph from the camera, in a dialog.
import { openCamera, whyNot } from './open.js';

export function wireCamera(section, app, taken) {
  const dialog = section.querySelector('[data-camera]');
  const video = dialog.querySelector('video');
  const note = dialog.querySelector('p');
  const take = dialog.querySelector('[data-take]');
  let stream = null;

  function stop() {
    for (const track of stream?.getTracks() || []) track.stop();
    stream = null;
    video.srcObject = null;
  }

  dialog.addEventListener('close', stop);
  dialog.querySelector('[data-cancel]').addEventListener('click', () => dialog.close());
  take.addEventListener('click', () => {
    const canvas = document.createElement('canvas');
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext('2d').drawImage(video, 0, 0);
    dialog.close();
    taken(canvas);
  });

  return async () => {
    dialog.showModal();
    take.disabled = true;
    note.textContent = app.words.say('live_asking');
    try {
      const got = await openCamera();
      if (!dialog.open) {
        for (const track of got.getTracks()) track.stop();
        return;
      }
      stream = got;
      video.srcObject = got;
      await video.play();
      note.textContent = '';
      take.disabled = false;
    } catch (error) {
      note.textContent = app.words.say(whyNot(error));
    }
  };
}
