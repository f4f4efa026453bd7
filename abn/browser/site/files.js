// The page's large files: fetched once, kept by the browser, unpacked here, since plain servers compress nothing.

const open = async (kept) => {
  try {
    return await caches.open(kept);
  } catch {
    return null; // no https, or forbidden
  }
};

export class Missing extends Error {}

// A file's bytes, unpacked. file: {url, bytes} as it lies on the server; kept: the name of the cache; report: is called
// with the bytes that have come, again and again. Raises Missing.
export async function unpackedFile(file, kept, report) {
  const cache = await open(kept);
  const found = await cache?.match(file.url);
  if (found) {
    const blob = await found.blob();
    report(file.bytes);
    return unzipped(blob);
  }
  let blob;
  try {
    const answer = await fetch(file.url);
    if (!answer.ok) throw new Missing(`${file.url}: HTTP ${answer.status}`);
    blob = await counted(answer, report);
  } catch (error) {
    throw error instanceof Missing ? error : new Missing(`${file.url}: ${error.message}`);
  }
  report(file.bytes);
  const bytes = await unzipped(blob);
  await cache?.put(file.url, new Response(blob)).catch(() => {}); // full
  return bytes;
}

async function counted(answer, report) {
  const reader = answer.body.getReader();
  const parts = [];
  let got = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(parts);
    parts.push(value);
    got += value.length;
    report(got);
  }
}

// Some servers call it encoded, and the browser has unpacked it already.
async function unzipped(blob) {
  const start = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  if (start[0] !== 0x1f || start[1] !== 0x8b) return blob.arrayBuffer();
  try {
    return await new Response(blob.stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
  } catch (error) {
    throw new Missing(`it came damaged: ${error.message}`);
  }
}
