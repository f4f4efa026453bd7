// Gradio runs this when the page's frame stands: the rest is modules of their own.
const root = (window.gradio_config?.root || window.location.origin).replace(/\/$/, '');
import(`${root}/BASE/page.js`).then((page) => page.start(element, root, `${root}/BASE`));
