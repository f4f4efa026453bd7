// The page's large files: fetched once, kept by the browser, unpacked here while they come, since plain servers compress
// nothing.

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
    const parts = [];
    const bytes = await unpacked(answer.body, parts, report);
    report(file.bytes);
    const copied = found ? null : cache?.put(file.url, new Response(new Blob(parts))).catch(() => {}); // full
    return { bytes, kept: copied };
  } catch (error) {
    throw error instanceof Missing ? error : new Missing(`${file.url}: ${error.message}`);
  }
}

// parts: takes what has come, as it came. Some servers call a file encoded, and the browser has unpacked it already.
async function unpacked(stream, parts, report) {
  const reader = stream.getReader();
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
    parts.push(value);
    got += value.length;
    report(got);
    unzip?.write(value).catch(() => {});
  }
  if (!unzip) return new Blob(parts).arrayBuffer();
  unzip.close().catch(() => {});
  return whole;
}
