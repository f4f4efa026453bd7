// The page's large files: fetched once, unpacked here while they come, since plain servers compress nothing, and kept by
// the browser as they are needed the next time.

const open = async (kept) => {
  try {
    return await caches.open(kept);
  } catch {
    return null; // no https, or forbidden
  }
};

export class Missing extends Error {}

// {bytes, kept}: a file, unpacked, and a promise of its copy for the next visit. file: {url, bytes} as it lies on the
// server; kept: the name of the cache; report: is called with the bytes that have come, again and again. Raises Missing.
export async function unpackedFile(file, kept, report) {
  const cache = await open(kept);
  const found = await cache?.match(file.url);
  try {
    const answer = found || (await fetch(file.url));
    if (!answer.ok) throw new Missing(`${file.url}: HTTP ${answer.status}`);
    const bytes = await unpacked(answer.body, report);
    report(file.bytes);
    const copied = found ? null : cache?.put(file.url, new Response(bytes)).catch(() => {}); // full
    return { bytes, kept: copied };
  } catch (error) {
    throw error instanceof Missing ? error : new Missing(`${file.url}: ${error.message}`);
  }
}

// Some servers call a file encoded, and the browser has unpacked it already; what it kept is unpacked, too.
async function unpacked(stream, report) {
  const reader = stream.getReader();
  const parts = [];
  let got = 0;
  let unzip = null;
  let whole = null;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (!got && value[0] === 0x1f && value[1] === 0x8b) {
      const { readable, writable } = new DecompressionStream('gzip');
      whole = new Response(readable).arrayBuffer();
      whole.catch(() => {}); // it is waited for below
      unzip = writable.getWriter();
    }
    got += value.length;
    report(got);
    if (unzip) unzip.write(value).catch(() => {});
    else parts.push(value);
  }
  if (!unzip) return new Blob(parts).arrayBuffer();
  unzip.close().catch(() => {});
  return whole;
}
