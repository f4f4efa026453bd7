export function lay(map, width, height) {
  const { rows, box: [l, t, r, b], span: [[t0, t1], [l0, l1]] } = map;
  const out = new Float32Array(width * height); const h = rows.length, w = rows[0].length;
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const ax = Math.min(w - 1, Math.max(0, ((l + (x + .5) * (r - l) / width) - l0) / (l1 - l0) * w - .5));
    const ay = Math.min(h - 1, Math.max(0, ((t + (y + .5) * (b - t) / height) - t0) / (t1 - t0) * h - .5));
    const x0 = Math.min(Math.floor(ax), Math.max(w - 2, 0)), y0 = Math.min(Math.floor(ay), Math.max(h - 2, 0));
    const x1 = Math.min(x0 + 1, w - 1), y1 = Math.min(y0 + 1, h - 1), fx = ax - x0, fy = ay - y0;
    out[y * width + x] = Math.min(1, Math.max(0, (rows[y0][x0] * (1 - fx) + rows[y0][x1] * fx) * (1 - fy) + (rows[y1][x0] * (1 - fx) + rows[y1][x1] * fx) * fy));
  }
  return out;
}
export function peakOf(heat) { let m = 0; for (const v of heat) if (v > m) m = v; return m; }
export function paint(out, picture, heat, width, height, how) {
  const { blend, alpha, colours, peak } = how;
  for (let i = 0; i < heat.length; i++) {
    const s = peak ? Math.min(1, heat[i] / peak) : 0;
    for (let c = 0; c < 3; c++) {
      const p = picture[4 * i + c];
      if (blend === 'paper') out[4 * i + c] = p + alpha * colours[3 * Math.floor(255 * heat[i]) + c];
      else if (blend === 'heat') out[4 * i + c] = p * (1 - alpha * s) + colours[3 * Math.floor(255 * s) + c] * alpha * s;
      else out[4 * i + c] = p * (1 - alpha * (1 - s));
    }
    out[4 * i + 3] = 255;
  }
}
