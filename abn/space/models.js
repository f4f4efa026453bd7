// Another model for this visitor alone: it is brought on the server, and its name goes with each question.
import { Failed } from './ask.js';

let arriving = null; // the address's model, on its way

// Bring a model and ask it from now on; `report` is called with {share} on the way. Raises Failed: the old one stays.
export async function bring(app, name, { signal, report, arrival = false } = {}) {
  if (!arrival && app.coming) {
    leave(app);
    app.set({ model: '' });
  }
  const found = await app.server.ask('use', { language: app.words.language, name }, { signal, report });
  if (found.error) throw new Failed(found.error);
  const { model } = app.state;
  app.coming = app.said = '';
  app.shown[found.name] = found.shown;
  // the default one needs no name, but for one that only stands in for it
  app.set({ model: found.name === model.name && model.state !== 'loading' ? '' : found.name });
  return found;
}

// The model that the page's address names. Returns as soon as it is there or has to be waited for; until it is there,
// the one by default answers, and a line says so.
export function arrive(app) {
  const name = app.coming;
  if (!name) return Promise.resolve();
  const mine = new AbortController();
  arriving = mine;
  return new Promise((done) => {
    const report = ({ share }) => {
      if (arriving !== mine || share === undefined) return;
      app.said = app.words.say('model_arriving', { name, share: app.words.percent(share), model: app.state.model.shown });
      app.chip();
      done();
    };
    bring(app, name, { signal: mine.signal, report, arrival: true })
      .catch((error) => {
        if (arriving !== mine) return;
        app.coming = app.said = '';
        app.set({ model: '' });
        app.say(app.words.say('model_refused', { reason: app.reason(error), name: app.state.model.shown }));
      })
      .finally(done);
  });
}

// The address's model is not wanted any more.
export function leave(app) {
  arriving?.abort();
  arriving = null;
  app.coming = app.said = '';
}
