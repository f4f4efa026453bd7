// A map as cards and frames bring it, shares of its peak in bytes, in the form that `lay` takes.
export function unpacked({ shares, shape: [height, width], peak, ...where }) {
  const values = Array.from(atob(shares), (letter) => (letter.charCodeAt(0) * peak) / 255);
  const rows = Array.from({ length: height }, (_, row) => values.slice(row * width, (row + 1) * width));
  return { ...where, rows };
}
