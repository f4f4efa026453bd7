// The page's questions to its server, over Gradio's HTTP API: a POST, then a stream of events until the last.
// Leaving the stream ends the work on the server.

const HUB = 'https://huggingface.co';

export class Failed extends Error {
  // words: what the server said, or '' where it said nothing. status: of HTTP, 0 where there was no answer.
  constructor(words, status = 0) {
    super(words || `HTTP ${status}`);
    this.words = words;
    this.status = status;
  }
}

// On a Space that borrows GPUs, huggingface.co knows the visitor and gives the headers that name him.
async function visitor() {
  if (!window.supports_zerogpu_headers || window.parent === window || !location.hostname.endsWith('.hf.space')) return {};
  const channel = new MessageChannel();
  const answer = new Promise((done) => {
    channel.port1.onmessage = (event) => done(event.data);
    setTimeout(() => done({}), 2000);
  });
  window.parent.postMessage('zerogpu-headers', HUB, [channel.port2]);
  const headers = await answer;
  channel.port1.close();
  return headers || {};
}

// A private Space signs the page's address; its requests carry the same signature.
function signed(url) {
  const signature = new URLSearchParams(location.search).get('__sign');
  if (!signature) return url;
  return `${url}${url.includes('?') ? '&' : '?'}__sign=${encodeURIComponent(signature)}`;
}

async function refused(answer) {
  let words = '';
  try {
    const said = await answer.json();
    words = String(said.error || said.detail || '');
  } catch {
    // no JSON: the status alone tells
  }
  return new Failed(words, answer.status);
}

export function connect(root) {
  const api = `${root}/gradio_api`;

  // Ask `name`; `report` is called with each answer on the way. Gives the last one.
  async function ask(name, values, { signal, report } = {}) {
    signal?.throwIfAborted();
    // Not given up half way: the server would do the work, and nobody could tell it to stop
    const posted = await fetch(signed(`${api}/call/page_${name}`), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(await visitor()) },
      body: JSON.stringify({ data: [values] }),
    });
    if (!posted.ok) throw await refused(posted);
    const { event_id: id } = await posted.json();
    const stream = new EventSource(signed(`${api}/call/page_${name}/${id}`));
    if (signal?.aborted) {
      stream.addEventListener('open', () => stream.close());
      stream.addEventListener('error', () => stream.close());
      throw signal.reason;
    }
    return new Promise((done, fail) => {
      let latest = null;
      const end = (how, what) => {
        stream.close();
        signal?.removeEventListener('abort', leave);
        how(what);
      };
      const leave = () => end(fail, signal.reason);
      signal?.addEventListener('abort', leave);
      stream.addEventListener('generating', (event) => {
        [latest] = JSON.parse(event.data) || [];
        report?.(latest);
      });
      stream.addEventListener('complete', (event) => {
        const [last] = JSON.parse(event.data) || [];
        end(done, last ?? latest);
      });
      // Gradio's own "error" event has data; a broken line has none
      stream.addEventListener('error', (event) => {
        const said = event.data ? JSON.parse(event.data) : null;
        end(fail, new Failed(String(said?.error || (typeof said === 'string' ? said : '')), event.data ? 500 : 0));
      });
    });
  }

  // Send a file; gives the name under which it can be asked about.
  async function upload(blob, name, signal) {
    const form = new FormData();
    form.append('files', blob, name);
    const answer = await fetch(signed(`${api}/upload`), { method: 'POST', body: form, signal });
    if (!answer.ok) throw await refused(answer);
    const [path] = await answer.json();
    return path;
  }

  // A question of bytes alone, which is answered at once.
  async function post(name, blob, values, signal) {
    const url = signed(`${api}/abn/${name}?${new URLSearchParams(values)}`);
    const answer = await fetch(url, { method: 'POST', headers: { 'Content-Type': blob.type }, body: blob, signal });
    if (!answer.ok) throw await refused(answer);
    return answer.json();
  }

  // What `post` had kept, by the name that it gave.
  async function leave(name, id, values) {
    const url = signed(`${api}/abn/${name}/${encodeURIComponent(id)}?${new URLSearchParams(values)}`);
    const answer = await fetch(url, { method: 'DELETE' });
    if (!answer.ok) throw await refused(answer);
  }

  const picture = (kind, id, small = false) => signed(`${api}/abn/${kind}/${encodeURIComponent(id)}${small ? '?small' : ''}`);

  async function state(language) {
    const answer = await fetch(signed(`${api}/abn/state?language=${language}`));
    if (!answer.ok) throw await refused(answer);
    return answer.json();
  }

  return { ask, upload, post, leave, picture, state };
}
