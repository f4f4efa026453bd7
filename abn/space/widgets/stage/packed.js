// A map as cards and frames bring it, shares of its peak in bytes, in the form that `lay` takes; one that has it already
// stays as it is.
export function unpacked(map) {
  if (map.rows) return map;
  const { shares, shape: [height, width], peak, ...where } = map;
  const values = Array.from(atob(shares), (letter) => (letter.charCodeAt(0) * peak) / 255);
  const rows = Array.from({ length: height }, (_, row) => values.slice(row * width, (row + 1) * width));
  return { ...where, rows };
}
