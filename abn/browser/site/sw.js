// The page without a network: what it is made of is kept, under the name of its version.
const base = new URL(self.location.href).searchParams.get('base');
const KEPT = `abn ${base}`;
const HOME = self.registration.scope;

async function keep() {
  const cache = await caches.open(KEPT);
  const names = await (await fetch(`${base}/files.json`)).json();
  const missing = [];
  for (const url of [HOME, ...names.map((name) => `${base}/${name}`)]) if (!(await cache.match(url))) missing.push(url);
  await cache.addAll(missing);
}

async function leaveOld() {
  const old = (await caches.keys()).filter((name) => name.startsWith(`abn ${HOME}`) && name !== KEPT);
  await Promise.all(old.map((name) => caches.delete(name)));
}

// The page itself is asked for anew, in case there is a newer one; its files bear their version's name.
async function home(request) {
  const cache = await caches.open(KEPT);
  try {
    return await fetch(request);
  } catch {
    return (await cache.match(HOME)) || Response.error();
  }
}

async function file(request) {
  const cache = await caches.open(KEPT);
  return (await cache.match(request)) || fetch(request);
}

self.addEventListener('install', (event) => event.waitUntil(keep().then(() => self.skipWaiting())));
self.addEventListener('activate', (event) => event.waitUntil(leaveOld())); // from the next visit on: no claim on this one
self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(HOME)) return;
  if (request.mode === 'navigate') event.respondWith(home(request));
  else event.respondWith(file(request));
});
