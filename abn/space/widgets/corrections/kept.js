// The corrections that this browser keeps: in IndexedDB, or in the page's memory where the browser gives it none.

const [NAME, STORE] = ['abn-corrections', 'kept'];

const done = (request) =>
  new Promise((good, bad) => {
    request.onsuccess = () => good(request.result);
    request.onerror = () => bad(request.error);
  });

function opened() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'id' });
  return done(request);
}

// {all, put, remove}, each a promise; lasting: whether they outlive the page.
export async function keeper() {
  try {
    const base = await opened();
    const store = (mode) => base.transaction(STORE, mode).objectStore(STORE);
    return {
      lasting: true,
      all: () => done(store('readonly').getAll()),
      put: (one) => done(store('readwrite').put(one)),
      remove: (id) => done(store('readwrite').delete(id)),
    };
  } catch {
    const held = new Map();
    return {
      lasting: false,
      all: async () => [...held.values()],
      put: async (one) => held.set(one.id, one),
      remove: async (id) => held.delete(id),
    };
  }
}
