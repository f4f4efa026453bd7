// What a visitor has chosen, in the page's address: what differs from the page's own choice stands there.
export const CHOICES = {
  tab: 'explain',
  example: '',
  local: '',
  share: '',
  model: '',
  view: 'whole',
  blend: 'heat',
  alpha: 0.7,
  colours: 'jet',
  stretch: false,
};
const NAMED = {
  tab: ['explain', 'compare', 'edit', 'gallery', 'live', 'model'],
  view: ['whole', 'model'],
  blend: ['heat', 'spotlight', 'paper'],
};

export function read(search, colourMaps) {
  const query = new URLSearchParams(search);
  const found = { ...CHOICES };
  for (const name of ['example', 'local', 'share', 'model']) found[name] = (query.get(name) || '').slice(0, 200);
  for (const name of Object.keys(NAMED)) if (NAMED[name].includes(query.get(name))) found[name] = query.get(name);
  if (colourMaps.includes(query.get('colours'))) found.colours = query.get('colours');
  const alpha = Number(query.get('alpha'));
  if (query.get('alpha') && alpha >= 0 && alpha <= 1) found.alpha = alpha;
  found.stretch = query.get('stretch') === '1';
  return found;
}

// The address's query; what else stands in it, such as a theme or a signature, stays. fixed: everything, for a link.
export function query(view, search, fixed = false) {
  const kept = new URLSearchParams(search);
  for (const name of Object.keys(CHOICES)) kept.delete(name);
  for (const [name, usual] of Object.entries(CHOICES)) {
    const value = view[name];
    if (value === '' || (value === usual && !(fixed && ['alpha', 'view', 'blend', 'colours'].includes(name)))) continue;
    kept.set(name, typeof value === 'boolean' ? '1' : String(value));
  }
  const words = kept.toString();
  return words ? `?${words}` : '';
}
