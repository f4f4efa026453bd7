(query) => {
  if (!query) return;
  const link = location.origin + location.pathname + query;
  const place = document.querySelector('#abn-share-link a');
  if (place) { place.href = link; place.textContent = link; }
  navigator.clipboard?.writeText(link).catch(() => {});
}
