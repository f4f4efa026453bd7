// For browsers that cannot run the page, and for files that do not come: a sentence in place of nothing.
(() => {
  const able = 'DecompressionStream' in window && 'WebAssembly' in window && 'noModule' in document.createElement('script');
  const say = (name) => {
    const place = document.querySelector('[data-plain]');
    if (!place) return;
    place.hidden = false;
    place.querySelector(`[data-plain-${name}]`).hidden = false;
  };
  if (!able) return say('old');
  const broken = ({ target }) => {
    if (!target.tagName || target.tagName === 'SCRIPT') say('broken');
  };
  window.addEventListener('error', broken, true);
  window.addEventListener('unhandledrejection', () => say('broken'));
})();
