// Gradio runs this when the page's frame stands: the rest is modules of their own. The path is Gradio's own, which may
// lie below a proxy's; the host is the one that the visitor sees.
const path = new URL(window.gradio_config?.root || '/', window.location.href).pathname.replace(/\/+$/, '');
const root = window.location.origin + path;
import(`${root}/BASE/page.js`).then((page) => page.start(element, root, `${root}/BASE`));
